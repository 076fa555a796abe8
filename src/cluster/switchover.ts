import { openForServer } from '../instance/sessions.ts';
import { DbkitError } from '../kernel/errors.ts';
import { fill } from '../kernel/reasons.ts';
import { type ClusterFacts, leaderOf, type MemberFacts } from './facts.ts';
import { findingsOf } from './findings.ts';
import { type ClusterNeeds, look, type Reach, reach } from './look.ts';
import { memberNamed } from './members.ts';
import { askToMove } from './patroni.ts';
import { createPooler, type Pooler } from './pooler.ts';
import { type LeaderProof, proveLeader, proveStreaming } from './proof.ts';
import { type SwitchoverFacts, switchoverRefusals } from './refusals.ts';
import { prospectsOf } from './why-not.ts';

export interface SwitchoverReport {
  readonly from: string;
  readonly to: string;
  /** The time for which PgBouncer let its clients wait; null: it was not asked to. */
  readonly pausedSeconds: number | null;
  readonly proof: LeaderProof;
  /** Until every other member that streamed before streams again. */
  readonly redundantSeconds: number;
  /** Automatic failover was off, and is. */
  readonly paused: boolean;
}

export interface SwitchoverWish {
  /** Default: the member that may lead and is nearest. */
  readonly to: string | undefined;
  readonly pause: boolean;
}

/** Draining, Patroni's answer and the proof are over before PgBouncer gives its waiting clients up (query_wait_timeout, 120 s). */
const LIMITS = { checkpointMs: 30_000, drainMs: 5_000, leaderMs: 40_000, redundantMs: 60_000 };

/**
 * A planned change of leader. Clients of PgBouncer wait meanwhile and see no error. Patroni's answer proves nothing (it has said success where
 * a veto had stopped it): what counts is what the servers say. Rejects with `recovery.refused`, nothing changed, or `service.failed`.
 */
export async function switchover(needs: ClusterNeeds, wish: SwitchoverWish, signal: AbortSignal): Promise<SwitchoverReport> {
  const { clock, config, log } = needs;
  const reached = await reach(needs);
  const facts = await look(needs, signal, reached);
  const { leader, candidate } = chosen(facts, wish.to);
  const timeline = leader.own!.timeline + 1;
  const others = facts.members.filter(({ own, name }) => own?.isStreaming && name !== candidate.name).map(({ name }) => name);
  log.info('ha.checkpoint', `writing everything out on ${leader.name} and ${candidate.name}, so that the stop is short`);
  await Promise.all([leader, candidate].map((member) => checkpoint(member, needs, signal)));
  const begunMs = clock.monotonicMs();
  const pooler = wish.pause && config.ha.pooler ? createPooler(config.ha.pooler, config.postgresql) : undefined;
  const { proof, pausedSeconds } = await whilePaused(pooler, needs, signal, async () => {
    log.info('ha.switchover', `${leader.name} hands over to ${candidate.name}`);
    await askToSwitch(reached, facts, { leader: leader.name, candidate: candidate.name }, signal);
    return proveLeader(needs, reached, candidate, { timeline, timeoutMs: LIMITS.leaderMs }, signal);
  });
  await proveStreaming(needs, reached, [...others, leader.name], LIMITS.redundantMs, signal);
  const redundantSeconds = Math.round(clock.monotonicMs() - begunMs) / 1000;
  return { from: leader.name, to: candidate.name, pausedSeconds, proof, redundantSeconds, paused: facts.isPaused };
}

/** Leader and candidate, or the refusal. */
export function chosen(facts: ClusterFacts, to: string | undefined): { readonly leader: MemberFacts; readonly candidate: MemberFacts } {
  const prospects = prospectsOf(facts).candidates;
  const nearest = prospects.filter(({ isEligible }) => isEligible).sort((a, b) => (a.lagBytes ?? 0) - (b.lagBytes ?? 0))[0]?.member;
  const name = to ?? nearest;
  const candidate = name === undefined ? undefined : memberNamed(facts.members, name);
  const concerned = [null, facts.leader, candidate?.name];
  const asked: SwitchoverFacts = {
    cluster: facts,
    candidate,
    obstacles: prospects.find(({ member }) => member === candidate?.name)?.obstacles ?? [],
    critical: findingsOf(facts).find(({ severity, member }) => severity === 'critical' && concerned.includes(member)),
  };
  const row = switchoverRefusals.find(({ when }) => when(asked));
  if (row !== undefined) {
    const critical = asked.critical && `${asked.critical.member === null ? '' : `${asked.critical.member}: `}${asked.critical.words}`;
    const words = { candidate: candidate?.name, critical, obstacles: asked.obstacles.map((one) => one.words).join('; ') };
    throw new DbkitError(row.refusal.code, fill(row.words, words), { hint: row.refusal.hint });
  }
  return { leader: leaderOf(facts)!, candidate: candidate! };
}

/** The shutdown checkpoint, during which nobody may write, is short after this one; without it the switchover works as well. */
async function checkpoint({ name, server }: MemberFacts, { config, log }: ClusterNeeds, signal: AbortSignal): Promise<void> {
  try {
    const limits = { connectTimeoutMs: 2_000, statementTimeoutMs: LIMITS.checkpointMs };
    const session = await openForServer(
      { ...config.postgresql, dataDir: undefined, socketDir: server.host, port: server.port },
      limits,
      signal,
    );
    try {
      await session.query('CHECKPOINT');
    } finally {
      void session.end();
    }
  } catch (cause) {
    signal.throwIfAborted();
    log.warn('ha.checkpoint', `no checkpoint on ${name}, so the stop may take longer`, { cause: String(cause) });
  }
}

/** A member that answers and does not lead is asked: it is there when the leader stops. */
async function askToSwitch({ members, ask }: Reach, facts: ClusterFacts, body: object, signal: AbortSignal): Promise<void> {
  const answering = facts.members.filter(({ patroni }) => patroni !== null).map(({ name }) => name);
  const asked = members.find(({ name }) => answering.includes(name) && name !== facts.leader) ?? members[0]!;
  await askToMove(ask, asked, '/switchover', body, signal);
}

/** Clients go on whatever happens: also when the person gives up, or Patroni does not answer. */
async function whilePaused(
  pooler: Pooler | undefined,
  { clock, log }: ClusterNeeds,
  signal: AbortSignal,
  work: () => Promise<LeaderProof>,
): Promise<{ readonly proof: LeaderProof; readonly pausedSeconds: number | null }> {
  if (pooler === undefined) return { proof: await work(), pausedSeconds: null };
  const begunMs = clock.monotonicMs();
  const goOn = async (): Promise<number> => {
    await pooler.resume(new AbortController().signal);
    return Math.round(clock.monotonicMs() - begunMs) / 1000;
  };
  let proof: LeaderProof;
  try {
    await pooler.pause(LIMITS.drainMs, signal);
    proof = await work();
  } catch (cause) {
    await goOn().catch((trouble: unknown) =>
      log.warn('ha.pooler', 'PgBouncer did not go on: type RESUME in its console', { cause: String(trouble) }),
    );
    throw cause;
  }
  return { proof, pausedSeconds: await goOn() };
}
