import { DbkitError } from '../kernel/errors.ts';
import { fill } from '../kernel/reasons.ts';
import { readPatroni, type TimelineChange } from './answers.ts';
import { type ClusterFacts, leaderOf, type MemberFacts } from './facts.ts';
import { historyOf } from './history.ts';
import { type ClusterNeeds, look, reach } from './look.ts';
import { memberNamed } from './members.ts';
import { isPaused } from './pause.ts';
import { proveStreaming, until } from './proof.ts';
import { reinitRefusals } from './refusals.ts';

export interface RejoinReport {
  readonly member: string;
  readonly seconds: number;
  /** Its data was removed and copied from another member. */
  readonly rebuilt: boolean;
  /** Automatic failover is off; null: no member says it. */
  readonly paused: boolean | null;
}

const LIMITS = { patroniMs: 10_000, rebuildMs: 600_000 };

/**
 * Waits until a member follows the leader again, which Patroni brings about by itself (pg_rewind). Rejects with `service.failed` where it does
 * not within `timeoutMs`: only a person decides that its data is thrown away.
 */
export async function rejoin(
  needs: ClusterNeeds,
  { member, timeoutMs }: { readonly member: string; readonly timeoutMs: number },
  signal: AbortSignal,
): Promise<RejoinReport> {
  const reached = await reach(needs);
  memberNamed(reached.members, member);
  const begunMs = needs.clock.monotonicMs();
  await proveStreaming(needs, reached, [member], timeoutMs, signal).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new DbkitError('service.failed', `${member} does not stream from the leader after ${timeoutMs / 1000} s`, {
      hint: `its log says why; \`dbkit ha reinit ${member}\` copies it again from another member`,
      cause,
    });
  });
  return {
    member,
    seconds: Math.round(needs.clock.monotonicMs() - begunMs) / 1000,
    rebuilt: false,
    paused: await isPaused(reached, signal),
  };
}

/** A rebuild as it was planned: how much WAL of its own the member has; null: nobody knows. */
export interface ReinitPlan {
  readonly member: string;
  readonly ownBytes: number | null;
}

/**
 * Has Patroni throw a member's data away and copy it from another one. Refused (`recovery.refused`) where it may be the better data. Rejects
 * with `service.failed` where it does not stream within ten minutes of being asked.
 */
export async function reinit(
  needs: ClusterNeeds,
  wish: { readonly member: string; readonly acceptLoss: boolean },
  confirm: (plan: ReinitPlan) => Promise<boolean>,
  signal: AbortSignal,
): Promise<RejoinReport> {
  const reached = await reach(needs);
  const facts = await look(needs, signal, reached);
  const member = memberNamed(facts.members, wish.member);
  const ownBytes = bytesOfItsOwn(member, facts, (await historyOf(reached, signal)) ?? []);
  const row = reinitRefusals.find(({ when }) => when({ cluster: facts, member, ownBytes, acceptLoss: wish.acceptLoss }));
  if (row !== undefined)
    throw new DbkitError(row.refusal.code, fill(row.words, { member: member.name, ownBytes }), { hint: row.refusal.hint });
  if (!(await confirm({ member: member.name, ownBytes }))) throw new DbkitError('prompt.refused', 'nothing was changed: the answer was no');
  const begunMs = needs.clock.monotonicMs();
  const before = member.patroni!.startedAt;
  const { status, text } = await reached.ask(member, '/reinitialize', signal, {
    method: 'POST',
    body: { force: true },
    timeoutMs: LIMITS.patroniMs,
  });
  if (status !== 200)
    throw new DbkitError('service.failed', `Patroni of ${member.name} refused (${status ?? 'no answer'}): ${text}`, {
      hint: 'see what it does now: `dbkit ha status`',
    });
  const limit = { timeoutMs: LIMITS.rebuildMs, clock: needs.clock, signal };
  await until(`${member.name} has started again`, limit, async (bounded) => {
    const view = readPatroni((await reached.ask(member, '/patroni', bounded)).json);
    return view?.state === 'running' && view.startedAt !== null && view.startedAt !== before;
  });
  await proveStreaming(needs, reached, [member.name], LIMITS.rebuildMs, signal);
  return {
    member: member.name,
    seconds: Math.round(needs.clock.monotonicMs() - begunMs) / 1000,
    rebuilt: true,
    paused: await isPaused(reached, signal),
  };
}

/** WAL that a member wrote or got on its timeline after the others had left it: 0 for one that is on the leader's; null: not known. */
export function bytesOfItsOwn(member: MemberFacts, facts: ClusterFacts, history: readonly TimelineChange[]): number | null {
  const leader = leaderOf(facts)?.own;
  if (member.own === null || !leader) return null;
  if (member.own.timeline === leader.timeline) return 0;
  const left = history.find(({ timeline }) => timeline === member.own!.timeline);
  return left === undefined ? null : Math.max(0, member.own.walAt - left.endedAt);
}
