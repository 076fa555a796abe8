import { DbkitError } from '../kernel/errors.ts';
import { fill } from '../kernel/reasons.ts';
import type { ClusterFacts, MemberFacts } from './facts.ts';
import { type ClusterNeeds, look, reach } from './look.ts';
import { memberNamed } from './members.ts';
import { askToMove } from './patroni.ts';
import { type LeaderProof, proveLeader } from './proof.ts';
import { failoverRefusals } from './refusals.ts';

export interface FailoverReport {
  readonly to: string;
  /** WAL that the old leader was known to have and the new one lacks; null: not known. */
  readonly lostBytes: number | null;
  readonly proof: LeaderProof;
  /** Automatic failover was off, and is. */
  readonly paused: boolean;
}

export interface FailoverWish {
  /** Default: a synchronous member, else the one with the most WAL. */
  readonly to: string | undefined;
  readonly acceptLoss: boolean;
  readonly force: boolean;
}

const LEADER_MS = 60_000;

/**
 * Asks Patroni to promote a member because the leader is lost. Rejects with `recovery.refused` while it is not, and where rows would be
 * missing that nobody has given up; then nothing was changed. Rejects with `service.failed` where no leader came of it.
 */
export async function failover(needs: ClusterNeeds, wish: FailoverWish, signal: AbortSignal): Promise<FailoverReport> {
  const reached = await reach(needs);
  const facts = await look(needs, signal, reached);
  const candidate = chosen(facts, wish);
  const timeline = candidate.own!.timeline + 1;
  needs.log.info('ha.failover', `Patroni is asked to promote ${candidate.name}`);
  const body = { candidate: candidate.name };
  await askToMove(reached.ask, candidate, '/failover', body, signal);
  const proof = await proveLeader(needs, reached, candidate, { timeline, timeoutMs: LEADER_MS }, signal);
  return { to: candidate.name, lostBytes: candidate.lagBytes, proof, paused: facts.isPaused };
}

function chosen(facts: ClusterFacts, { to, acceptLoss, force }: FailoverWish): MemberFacts {
  const candidate = to === undefined ? nearest(facts) : memberNamed(facts.members, to);
  const row = failoverRefusals.find(({ when }) => when({ cluster: facts, candidate, acceptLoss, force }));
  if (row === undefined) return candidate!;
  const words = { leader: facts.leader, candidate: candidate?.name, lagBytes: candidate?.lagBytes };
  throw new DbkitError(row.refusal.code, fill(row.words, words), { hint: fill(row.refusal.hint, words) });
}

/** Synchronous ones first, as they have every acknowledged row; then the end of the WAL decides. */
function nearest({ members, leader }: ClusterFacts): MemberFacts | undefined {
  const isSynchronous = ({ role }: MemberFacts): number => Number(role === 'synchronous' || role === 'quorum');
  return members
    .filter(({ name, own, patroni, isNeverLeader }) => name !== leader && own !== null && patroni !== null && !isNeverLeader)
    .sort((a, b) => isSynchronous(b) - isSynchronous(a) || b.own!.walAt - a.own!.walAt)[0];
}
