import { DbkitError } from '../kernel/errors.ts';
import type { ClusterFacts } from './facts.ts';
import { type ClusterNeeds, look, type Reach, reach } from './look.ts';
import { until } from './proof.ts';
import { chosen } from './switchover.ts';

/** A change of leader that Patroni makes by itself when its time comes. */
export interface PlannedSwitchover {
  /** RFC 3339; null: none is planned any more. */
  readonly at: string | null;
  readonly from: string | null;
  /** null: Patroni chooses then. */
  readonly to: string | null;
}

const SEEN_MS = 30_000;
const ASK_MS = 10_000;
/** Patroni's answer gives the time back to the second. */
const SAME_MS = 1_000;

/**
 * Has Patroni hand the lead over at a time. Done when the cluster tells of it. Refused for what would refuse it now; Patroni asks itself again when the
 * time comes. PgBouncer does not hold its clients then: nobody of dbkit's is there. Rejects with `usage.invalid` for a time that is over.
 */
export async function planSwitchover(
  needs: ClusterNeeds,
  { to, at }: { readonly to: string | undefined; readonly at: Date },
  signal: AbortSignal,
): Promise<PlannedSwitchover> {
  if (at.getTime() <= needs.clock.now().getTime())
    throw new DbkitError('usage.invalid', `${at.toISOString()} is over`, {
      hint: 'name a later time; times without a zone are UTC, and `dbkit ha switchover` without --at does it now',
    });
  const reached = await reach(needs);
  const facts = await look(needs, signal, reached);
  const { leader, candidate } = chosen(facts, to);
  const body = { leader: leader.name, scheduled_at: at.toISOString(), ...(to === undefined ? {} : { candidate: candidate.name }) };
  await ask(reached, facts, { method: 'POST', body }, signal);
  await until(`a switchover is planned for ${at.toISOString()}`, { timeoutMs: SEEN_MS, clock: needs.clock, signal }, async (bounded) => {
    const planned = (await look(needs, bounded, reached)).scheduledSwitchover;
    return planned !== null && Math.abs(Date.parse(planned.at) - at.getTime()) <= SAME_MS;
  });
  return { at: at.toISOString(), from: leader.name, to: to === undefined ? null : candidate.name };
}

/** Removes the plan, where there is one. Done when the cluster tells of none. */
export async function cancelSwitchover(needs: ClusterNeeds, signal: AbortSignal): Promise<PlannedSwitchover> {
  const reached = await reach(needs);
  const facts = await look(needs, signal, reached);
  if (facts.scheduledSwitchover !== null) await ask(reached, facts, { method: 'DELETE' }, signal);
  await until(
    'no switchover is planned',
    { timeoutMs: SEEN_MS, clock: needs.clock, signal },
    async (bounded) => (await look(needs, bounded, reached)).scheduledSwitchover === null,
  );
  return { at: null, from: null, to: null };
}

/** A member that answers is asked; any of them writes it into the store. */
async function ask(
  { members, ask: askPatroni }: Reach,
  facts: ClusterFacts,
  wish: { readonly method: 'POST' | 'DELETE'; readonly body?: object },
  signal: AbortSignal,
): Promise<void> {
  const answering = facts.members.filter(({ patroni }) => patroni !== null).map(({ name }) => name);
  const member = members.find(({ name }) => answering.includes(name)) ?? members[0]!;
  const { status, text } = await askPatroni(member, '/switchover', signal, { ...wish, timeoutMs: ASK_MS });
  if (status !== null && status >= 400 && status < 500)
    throw new DbkitError('service.failed', `Patroni refused (${status}): ${text}`, { hint: 'check what has changed: `dbkit ha status`' });
}
