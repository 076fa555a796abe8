import { DbkitError } from '../kernel/errors.ts';
import { moment } from '../kernel/units.ts';
import { PAUSE_UNTIL, readPatroni } from './answers.ts';
import type { ClusterFacts, MemberFacts } from './facts.ts';
import { type ClusterNeeds, look, type Reach, reach } from './look.ts';
import { until } from './proof.ts';

export interface PauseReport {
  readonly paused: boolean;
  /** When a dbkit turns it on again; null: a person does. */
  readonly until: string | null;
  /** Members whose Patroni has seen it. */
  readonly seenBy: readonly string[];
}

/** `forMs` null: without a limit. */
export type PauseWish = { readonly paused: true; readonly forMs: number | null } | { readonly paused: false };

const SEEN_MS = 30_000;

/**
 * Turns automatic failover off or on, for everybody. Done when each Patroni that answers has seen it; rejects with `service.failed` where one
 * has not within 30 s. While it is off a leader that crashes stays down. Patroni knows no end of a pause: dbkit writes it beside, and whichever
 * dbkit sees first that it is over turns it on (`endPause`).
 */
export async function setPaused(needs: ClusterNeeds, wish: PauseWish, signal: AbortSignal): Promise<PauseReport> {
  const reached = await reach(needs);
  const facts = await look(needs, signal, reached);
  const answering = facts.members.filter(({ patroni }) => patroni !== null);
  if (answering.length === 0)
    throw new DbkitError('service.failed', 'no Patroni answers', { hint: 'look at the network from here, and at Patroni on each member' });
  const { paused } = wish;
  const end = wish.paused && wish.forMs !== null ? new Date(needs.clock.now().getTime() + wish.forMs).toISOString() : null;
  await patch(reached, answering[0]!, { pause: paused || null, [PAUSE_UNTIL]: end }, signal);
  const what = paused ? 'every member is paused' : 'every member goes on';
  await until(what, { timeoutMs: SEEN_MS, clock: needs.clock, signal }, async (bounded) => {
    const views = await Promise.all(answering.map(async (member) => readPatroni((await reached.ask(member, '/patroni', bounded)).json)));
    return views.every((view) => view !== undefined && view.isPaused === paused);
  });
  return { paused, until: end, seenBy: answering.map(({ name }) => name) };
}

async function patch({ ask }: Reach, member: Pick<MemberFacts, 'api'>, body: object, signal: AbortSignal): Promise<void> {
  const { status, text } = await ask(member, '/config', signal, { method: 'PATCH', body });
  if (status !== 200)
    throw new DbkitError('service.failed', `Patroni did not take it (${status ?? 'no answer'}): ${text}`, {
      hint: 'it keeps its settings in etcd: `dbkit ha status` says whether that is reached',
    });
}

/**
 * Turns automatic failover on where the time of its pause is over; true where it did. An end that was left behind, as by `patronictl resume`, is
 * removed as soon as it is seen: it would end the next pause. Never rejects but for the signal: what did not work is told, and stays a finding.
 */
export async function endPause(
  { log }: Pick<ClusterNeeds, 'log'>,
  reached: Reach,
  { members, settings, isPaused, isPauseOver }: ClusterFacts,
  signal: AbortSignal,
): Promise<boolean> {
  const answering = members.find(({ patroni }) => patroni !== null);
  if (settings?.pauseUntil == null || answering === undefined || !(isPauseOver || !settings.isPaused)) return false;
  try {
    await patch(reached, answering, { ...(isPaused ? { pause: null } : {}), [PAUSE_UNTIL]: null }, signal);
  } catch (cause) {
    signal.throwIfAborted();
    log.warn('ha.still-paused', `the pause ended at ${moment(settings.pauseUntil)}, and could not be ended: ${String(cause)}`);
    return false;
  }
  if (isPaused) log.info('ha.resumed', `the pause ended at ${moment(settings.pauseUntil)}: automatic failover is on again`);
  return isPaused;
}

/** The members’ own word; null: none of them answers. Never rejects but for the signal. */
export async function isPaused({ members, ask }: Reach, signal: AbortSignal): Promise<boolean | null> {
  const views = await Promise.all(members.map(async (member) => readPatroni((await ask(member, '/patroni', signal)).json)));
  const known = views.filter((view) => view !== undefined);
  return known.length === 0 ? null : known.some((view) => view.isPaused);
}
