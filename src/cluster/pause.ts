import { DbkitError } from '../kernel/errors.ts';
import { readPatroni } from './answers.ts';
import { type ClusterNeeds, look, reach } from './look.ts';
import { until } from './proof.ts';

export interface PauseReport {
  readonly paused: boolean;
  /** Members whose Patroni has seen it. */
  readonly seenBy: readonly string[];
}

const SEEN_MS = 30_000;

/**
 * Turns automatic failover off or on, for everybody. Done when each Patroni that answers has seen it; rejects with `service.failed` where one
 * has not within 30 s. While it is off a leader that crashes stays down.
 */
export async function setPaused(needs: ClusterNeeds, paused: boolean, signal: AbortSignal): Promise<PauseReport> {
  const reached = await reach(needs);
  const facts = await look(needs, signal, reached);
  const answering = facts.members.filter(({ patroni }) => patroni !== null);
  if (answering.length === 0)
    throw new DbkitError('service.failed', 'no Patroni answers', { hint: 'look at the network from here, and at Patroni on each member' });
  const body = { pause: paused || null };
  const { status, text } = await reached.ask(answering[0]!, '/config', signal, { method: 'PATCH', body });
  if (status !== 200)
    throw new DbkitError('service.failed', `Patroni did not take it (${status ?? 'no answer'}): ${text}`, {
      hint: 'it keeps its settings in etcd: `dbkit ha status` says whether that is reached',
    });
  const what = paused ? 'every member is paused' : 'every member goes on';
  await until(what, { timeoutMs: SEEN_MS, clock: needs.clock, signal }, async (bounded) => {
    const views = await Promise.all(answering.map(async (member) => readPatroni((await reached.ask(member, '/patroni', bounded)).json)));
    return views.every((view) => view !== undefined && view.isPaused === paused);
  });
  return { paused, seenBy: answering.map(({ name }) => name) };
}
