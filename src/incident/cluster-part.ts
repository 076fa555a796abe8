import type { TimelineChange } from '../cluster/answers.ts';
import { type ClusterFacts, effectiveTtlSeconds, isLeader, type MemberFacts } from '../cluster/facts.ts';
import { DEFAULT_LAG_BYTES } from '../cluster/member-findings.ts';
import type { PoolerView } from '../cluster/pooler-findings.ts';
import type { ClusterSeen } from '../cluster/role-rows.ts';
import { prospectsOf } from '../cluster/why-not.ts';
import { bytes } from '../kernel/units.ts';
import type { ClusterPart } from './facts.ts';

/** Everything that was heard of a cluster, at one moment. */
export interface HeardCluster {
  readonly facts: ClusterFacts;
  readonly pooler: PoolerView | null;
  /** By a monitor of this machine; undefined: none watches it. */
  readonly seen: ClusterSeen | undefined;
  readonly changes: readonly TimelineChange[];
}

export const withoutCluster: ClusterPart = {
  hasCluster: false,
  scope: null,
  members: [],
  answering: [],
  silent: [],
  isAgreed: false,
  isPaused: false,
  leader: null,
  primary: null,
  primaryHost: null,
  isPrimarySilent: false,
  isPrimaryServerDown: false,
  unreachableSince: null,
  seenDownBy: [],
  streaming: [],
  writers: [],
  wrongWriters: [],
  candidate: null,
  candidateLagBytes: null,
  furthest: null,
  wouldFailOver: false,
  obstacles: [],
  ttlSeconds: null,
  isSynchronous: false,
  hasSynchronous: false,
  laggards: [],
  laggard: null,
  lagBytes: null,
  lagLimitBytes: null,
  replica: null,
  replicaHost: null,
  isReplicaSilent: false,
  isReplicaServerDown: false,
  isReplicaDiverged: false,
  lastChangeAt: null,
  seenAt: null,
  poolerAddress: null,
  poolerWaits: false,
};

const names = (members: readonly MemberFacts[]): readonly string[] => members.map(({ name }) => name);
/** A refusal is an answer of a server that lives. */
const isServerDown = ({ own, trouble }: MemberFacts): boolean => own === null && trouble?.kind !== 'refused';
const isSilent = (member: MemberFacts): boolean => member.patroni === null && isServerDown(member);

/** The facts that runbooks ask for. Pure. */
export function clusterPart({ facts, pooler, seen, changes }: HeardCluster): ClusterPart {
  const { members, leader, isAgreed } = facts;
  const writing = members.filter(({ isWritable }) => isWritable === true);
  const primary = members.find(({ name }) => name === (leader ?? lastLeader(facts, seen, changes)));
  const replicas = members.filter((member) => member !== primary && member.isWritable !== true);
  const streaming = replicas.filter(({ own }) => own?.isStreaming === true);
  const last = changes.at(-1);
  return {
    ...withoutCluster,
    hasCluster: true,
    scope: facts.scope,
    members: names(members),
    answering: names(members.filter((member) => !isSilent(member))),
    silent: names(members.filter(isSilent)),
    isAgreed,
    isPaused: facts.isPaused,
    leader,
    primary: primary?.name ?? null,
    primaryHost: primary?.server.host ?? null,
    isPrimarySilent: primary !== undefined && isSilent(primary),
    isPrimaryServerDown: primary !== undefined && primary.patroni !== null && isServerDown(primary),
    unreachableSince: primary !== undefined && isSilent(primary) ? (seen?.members[primary.name]?.answeredAt ?? null) : null,
    seenDownBy: names(replicas.filter(({ own }) => own !== null && !own.isStreaming)),
    streaming: names(streaming),
    writers: names(writing),
    wrongWriters: writing.length > 1 ? names(writing.filter((member) => !isLeader(member, facts))) : [],
    ttlSeconds: facts.settings === null ? null : effectiveTtlSeconds(facts),
    isSynchronous: facts.settings?.isSynchronous ?? false,
    hasSynchronous: members.some(({ role }) => role === 'synchronous' || role === 'quorum'),
    lastChangeAt: isoOf(last?.at ?? null),
    seenAt: seen?.at ?? null,
    poolerAddress: pooler?.address ?? null,
    poolerWaits: pooler !== null && (pooler.paused === true || pooler.longestWaitSeconds > 0),
    ...succession(facts),
    ...lag(replicas, facts),
    ...firstReplicaDown(replicas, primary),
  };
}

function lastLeader({ members }: ClusterFacts, seen: ClusterSeen | undefined, changes: readonly TimelineChange[]): string | null {
  const byMemory = seen?.leader ?? members.find(({ name }) => seen?.members[name]?.role === 'leader')?.name;
  return byMemory ?? changes.at(-1)?.newLeader ?? null;
}

function succession(facts: ClusterFacts): Partial<ClusterPart> {
  const { candidates, blocked, wouldFailOver } = prospectsOf(facts);
  const nearest = candidates.filter(({ isEligible }) => isEligible).sort((a, b) => (a.lagBytes ?? 0) - (b.lagBytes ?? 0))[0];
  const furthest = facts.members
    .filter(({ name, own, patroni }) => name !== facts.leader && own !== null && !own.isWritable && patroni !== null)
    .sort((a, b) => b.own!.walAt - a.own!.walAt)[0];
  return {
    candidate: nearest?.member ?? null,
    candidateLagBytes: nearest?.lagBytes ?? null,
    furthest: furthest?.name ?? null,
    wouldFailOver,
    obstacles: [
      ...blocked.map(({ words }) => words),
      ...candidates.flatMap(({ member, obstacles }) => obstacles.slice(0, 1).map(({ words }) => `${member}: ${words}`)),
    ],
  };
}

function lag(replicas: readonly MemberFacts[], { settings }: ClusterFacts): Partial<ClusterPart> {
  const lagLimitBytes = settings?.maximumLagBytes ?? DEFAULT_LAG_BYTES;
  const behind = replicas.filter(({ lagBytes }) => (lagBytes ?? 0) > lagLimitBytes).sort((a, b) => b.lagBytes! - a.lagBytes!);
  return {
    laggards: behind.map(({ name, lagBytes }) => `${name} by ${bytes(lagBytes!)}`),
    laggard: behind[0]?.name ?? null,
    lagBytes: behind[0]?.lagBytes ?? null,
    lagLimitBytes,
  };
}

function firstReplicaDown(replicas: readonly MemberFacts[], primary: MemberFacts | undefined): Partial<ClusterPart> {
  const down = replicas.find((member) => member.trouble?.kind !== 'refused' && member.own?.isStreaming !== true);
  return {
    replica: down?.name ?? null,
    replicaHost: down?.server.host ?? null,
    isReplicaSilent: down !== undefined && isSilent(down),
    isReplicaServerDown: down !== undefined && down.patroni !== null && isServerDown(down),
    isReplicaDiverged: down?.timeline != null && primary?.timeline != null && down.timeline !== primary.timeline,
  };
}

/** Patroni writes '2026-11-28T11:56:03.401333+00:00'. */
function isoOf(at: string | null): string | null {
  const time = at === null ? Number.NaN : Date.parse(at);
  return Number.isNaN(time) ? null : new Date(time).toISOString();
}
