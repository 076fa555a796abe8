import type { Role, TimelineChange } from './answers.ts';
import { type ClusterFacts, effectiveTtlSeconds, type MemberFacts } from './facts.ts';
import type { ClusterFinding } from './finding.ts';
import { findingsOf, worstFirst } from './findings.ts';
import { historyOf } from './history.ts';
import { type ClusterNeeds, look, type Reach, reach } from './look.ts';
import { memberNamed } from './members.ts';
import { endPause, isPaused } from './pause.ts';
import { createPooler } from './pooler.ts';
import { type PoolerView, poolerFinding } from './pooler-findings.ts';
import { type Prospects, prospectsOf } from './why-not.ts';
import { probeWritePort, type WriteProbe } from './write-probe.ts';

/** A member for people and programs; the same for every version of Patroni. */
export interface MemberReport {
  readonly name: string;
  readonly server: string;
  readonly role: Role;
  readonly state: string | null;
  readonly timeline: number | null;
  /** Takes writes, as its server says; null: not known. */
  readonly writable: boolean | null;
  /** Streams from another, as its server says; null: not known, or a leader. */
  readonly streaming: boolean | null;
  readonly lagBytes: number | null;
  /** null: its Patroni does not answer. */
  readonly patroni: { readonly version: string; readonly storeSeenSecondsAgo: number | null; readonly failsafe: boolean } | null;
}

export interface ClusterReport {
  readonly scope: string | null;
  readonly leader: string | null;
  /** A Patroni that sees the store of agreement says so; false: put together from what members say. */
  readonly agreed: boolean;
  readonly paused: boolean;
  /** Until when; null: without a limit, or not paused. */
  readonly pausedUntil: string | null;
  readonly synchronous: boolean | null;
  /** After so many seconds without its leader the cluster elects another. */
  readonly ttlSeconds: number | null;
  readonly scheduledSwitchover: { readonly at: string; readonly to: string | null } | null;
  readonly members: readonly MemberReport[];
  /** PgBouncer (`ha.pooler`); null: the configuration names none. */
  readonly pooler: PoolerView | null;
  readonly findings: readonly ClusterFinding[];
}

export interface ClusterCheck extends ClusterReport {
  readonly status: 'ok' | 'warning' | 'critical' | 'unknown';
  /** null: the configuration names no write address. */
  readonly write: WriteProbe | null;
}

/** The cluster now. Rejects with `config.invalid` where no member is named; a member that is gone is a finding. */
export async function reportCluster(needs: ClusterNeeds, signal: AbortSignal): Promise<ClusterReport> {
  return (await lookAround(needs, signal)).report;
}

/** The members and the pooler, asked at the same time. */
async function lookAround(
  needs: ClusterNeeds,
  signal: AbortSignal,
): Promise<{ readonly facts: ClusterFacts; readonly report: ClusterReport }> {
  const { pooler } = needs.config.ha;
  const reached = await reach(needs);
  const [facts, view] = await Promise.all([
    lookAndEndPause(needs, signal, reached),
    pooler === undefined ? null : createPooler(pooler, needs.config.postgresql).look(signal),
  ]);
  return { facts, report: reportOf(facts, view) };
}

async function lookAndEndPause(needs: ClusterNeeds, signal: AbortSignal, reached: Reach): Promise<ClusterFacts> {
  const facts = await look(needs, signal, reached);
  return (await endPause(needs, reached, facts, signal)) ? look(needs, signal, reached) : facts;
}

/** The same, and a commit through the write address, which must come to the leader's server. */
export async function checkCluster(needs: ClusterNeeds, signal: AbortSignal): Promise<ClusterCheck> {
  const { facts, report } = await lookAround(needs, signal);
  const write = await probeWritePort(needs, facts, signal);
  const findings = write === null || write.finding === null ? report.findings : [write.finding, ...report.findings];
  return { ...report, findings, write, status: statusOf(facts, findings) };
}

/** The members that would take over, and those that would not, with every reason. */
export async function whyNot(needs: ClusterNeeds, member: string | undefined, signal: AbortSignal): Promise<Prospects> {
  const facts = await look(needs, signal, await reach(needs));
  const prospects = prospectsOf(facts);
  if (member === undefined) return prospects;
  memberNamed(facts.members, member);
  return { ...prospects, candidates: prospects.candidates.filter((one) => one.member === member) };
}

export interface ClusterHistory {
  readonly known: boolean;
  readonly changes: readonly TimelineChange[];
  /** Automatic failover is off; null: no member says it. */
  readonly paused: boolean | null;
}

/** Every change of timeline, the last one first. `known` is false where no member answers for it. */
export async function clusterHistory(needs: ClusterNeeds, signal: AbortSignal): Promise<ClusterHistory> {
  const reached = await reach(needs);
  const [history, paused] = await Promise.all([historyOf(reached, signal), isPaused(reached, signal)]);
  return { known: history !== undefined, changes: [...(history ?? [])].reverse(), paused };
}

export function reportOf(facts: ClusterFacts, pooler: PoolerView | null): ClusterReport {
  const ofPooler = poolerFinding(pooler);
  return {
    scope: facts.scope,
    leader: facts.leader,
    agreed: facts.isAgreed,
    paused: facts.isPaused,
    pausedUntil: facts.isPaused ? (facts.settings?.pauseUntil ?? null) : null,
    synchronous: facts.settings?.isSynchronous ?? null,
    ttlSeconds: facts.settings === null ? null : effectiveTtlSeconds(facts),
    scheduledSwitchover: facts.scheduledSwitchover,
    members: facts.members.map(memberReport),
    pooler,
    findings: ofPooler === null ? findingsOf(facts) : worstFirst([...findingsOf(facts), ofPooler]),
  };
}

const memberReport = ({ name, server, role, state, timeline, own, isWritable, lagBytes, patroni }: MemberFacts): MemberReport => ({
  name,
  server: `${server.host}:${server.port}`,
  role,
  state,
  timeline,
  writable: isWritable,
  streaming: own === null || own.isWritable ? null : own.isStreaming,
  lagBytes: isWritable === true ? null : lagBytes,
  patroni: patroni === null ? null : { version: patroni.version, storeSeenSecondsAgo: patroni.dcsAgeSeconds, failsafe: patroni.isFailsafe },
});

function statusOf({ members }: ClusterFacts, findings: readonly ClusterFinding[]): ClusterCheck['status'] {
  if (members.every(({ patroni, own }) => patroni === null && own === null)) return 'unknown';
  if (findings.some(({ severity }) => severity === 'critical')) return 'critical';
  return findings.length > 0 ? 'warning' : 'ok';
}
