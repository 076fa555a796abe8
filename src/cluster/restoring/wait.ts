import { DbkitError } from '../../kernel/errors.ts';
import { readPatroni } from '../answers.ts';
import { type ClusterNeeds, look, type Reach } from '../look.ts';
import type { Member } from '../members.ts';
import { lives, type ProcessMark } from '../processes.ts';
import { askServer, isTrouble, type Login } from '../server.ts';

const EVERY_MS = 500;
const SAY_EVERY_MS = 30_000;
/** So long a Patroni may say nothing that shows work: a copy, a replay. */
const QUIET_MS = 120_000;
const COPYING = new Set(['running custom bootstrap script', 'creating replica']);
const COPIES_MAX = 4;
/** Its words while it works (postgresql/bootstrap.py, ha.py). */
const AT_WORK = new Set(['running custom bootstrap script', 'creating replica', 'starting', 'initializing new cluster']);

export interface Waiting {
  readonly what: string;
  /** Members whose work counts as progress. */
  readonly members: readonly Member[];
  /** Their programs: one that has ended ends the wait. */
  readonly processes: readonly (ProcessMark & { readonly name: string })[];
}

/** Asks until it is so, as long as somebody works on it. Rejects with `service.failed` where nobody does. */
export async function whileAtWork(
  { clock, log, config: { postgresql: login } }: Pick<ClusterNeeds, 'clock' | 'log' | 'config'>,
  { ask }: Pick<Reach, 'ask'>,
  { what, members, processes }: Waiting,
  signal: AbortSignal,
  isSo: (signal: AbortSignal) => Promise<boolean>,
): Promise<void> {
  const begun = new Map<string, Begun>();
  let [workedMs, saidMs, seen] = [clock.monotonicMs(), clock.monotonicMs(), ''];
  while (!(await isSo(signal))) {
    for (const one of processes)
      if (!(await lives(one))) throw new DbkitError('service.failed', `not confirmed: ${what}; ${one.name} has ended`, AGAIN);
    const states = await Promise.all(members.map((member) => workOf(member, ask, login, signal)));
    for (const [index, { name }] of members.entries())
      if (beginsAgain(begun, name, states[index]!.state) > COPIES_MAX)
        throw new DbkitError('service.failed', `${what}: not so; the server of ${name} does not stay on what was copied`, AGAIN);
    const nowMs = clock.monotonicMs();
    if (states.some(({ state }) => AT_WORK.has(state)) || JSON.stringify(states) !== seen) workedMs = nowMs;
    seen = JSON.stringify(states);
    if (nowMs - workedMs > QUIET_MS) throw new DbkitError('service.failed', `not confirmed in time: ${what}`, AGAIN);
    if (nowMs - saidMs > SAY_EVERY_MS) {
      saidMs = nowMs;
      log.info('restore.waiting', `waiting: ${what}; ${members.map(({ name }, index) => `${name}: ${states[index]!.state}`).join(', ')}`);
    }
    await clock.sleep(EVERY_MS, signal);
  }
}

interface Begun {
  readonly state: string;
  readonly count: number;
}

/** How often a member has begun to copy: Patroni throws away what does not start, and begins again without end. */
function beginsAgain(begun: Map<string, Begun>, name: string, state: string): number {
  const before = begun.get(name) ?? { state: '', count: 0 };
  const isNew = COPYING.has(state) && state !== before.state;
  const count = before.count + (isNew ? 1 : 0);
  begun.set(name, { state, count });
  return count;
}

const AGAIN = {
  hint: 'read the log of its Patroni; then type `dbkit ha restore` again, it goes on; what was there before is set aside',
  changed: true,
};

/** Patroni's word of its work, and how far the server's WAL has come: a long replay is work, too. */
async function workOf(
  { api, server }: Member,
  ask: Reach['ask'],
  login: Login,
  signal: AbortSignal,
): Promise<{ readonly state: string; readonly walAt: number }> {
  const [answer, view] = await Promise.all([ask({ api }, '/patroni', signal), askServer(server, login, signal)]);
  return {
    state: readPatroni(answer.json)?.state ?? 'silent',
    walAt: isTrouble(view) || view.isWritable || view.isStreaming ? 0 : view.walAt,
  };
}

/** It takes writes and holds the lock; before that Patroni may start its server once more (postgresql/bootstrap.py, post_bootstrap). */
export async function holdsLock(
  { config }: Pick<ClusterNeeds, 'config'>,
  { ask }: Pick<Reach, 'ask'>,
  { api, server }: Member,
  signal: AbortSignal,
): Promise<boolean> {
  const view = await askServer(server, config.postgresql, signal);
  return !isTrouble(view) && view.isWritable && (await ask({ api }, '/leader', signal)).status === 200;
}

/** Those of these members that stream on the leader's timeline. */
export async function streamingOf(needs: ClusterNeeds, reach: Reach, signal: AbortSignal): Promise<readonly string[]> {
  const { members, leader } = await look(needs, signal, reach);
  const own = members.find(({ name }) => name === leader)?.own;
  return members.filter((one) => one.own?.isStreaming && own?.isWritable && one.own.timeline === own.timeline).map(({ name }) => name);
}
