import { join } from 'node:path';
import * as v from 'valibot';
import { DbkitError } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { readPatroni } from '../answers.ts';
import type { AskPatroni } from '../patroni.ts';
import { lives, type ProcessMark, signalTo, startedTicks } from '../processes.ts';
import type { MemberFile } from './member-file.ts';

const mark = v.object({ pid: v.pipe(v.number(), v.integer(), v.minValue(1)), startedTicks: v.string() });
const fileOf = (stateDir: string): string => join(stateDir, 'patroni.json');
const END_MS = 5_000;
/** A store that was seen so lately was seen within the lease, whatever ttl is. */
const FRESH_SECONDS = 3;

/** Remembers which Patroni runs, for the dbkit that comes after a `kill -9`. */
export async function rememberPatroni(stateDir: string, pid: number, { files }: Pick<System, 'files'>): Promise<void> {
  await files.publish(fileOf(stateDir), JSON.stringify({ pid, startedTicks: (await startedTicks(pid)) ?? '' } satisfies ProcessMark));
}

/** A Patroni that a dbkit with this state folder has started, and that still runs. */
export async function leftPatroni(stateDir: string, files: Pick<System['files'], 'readJson'>): Promise<ProcessMark | undefined> {
  const known = await files.readJson(fileOf(stateDir), (value) => v.parse(mark, value));
  return known !== undefined && (await lives(known)) ? known : undefined;
}

/**
 * Ends a Patroni that outlived its dbkit: nobody guards it. True where it proved, just before, that it holds the lock, so that its server may go on
 * under the next one. Rejects with `server.running` where a Patroni that dbkit did not start answers for this member.
 */
export async function endOrphan(
  stateDir: string,
  member: MemberFile,
  {
    ask,
    system,
    signal,
  }: { readonly ask: AskPatroni; readonly system: Pick<System, 'files' | 'clock' | 'log'>; readonly signal: AbortSignal },
): Promise<boolean> {
  const known = await leftPatroni(stateDir, system.files);
  const { json, sentAt } = await ask(member, '/patroni', signal, { timeoutMs: 1_000 });
  const view = readPatroni(json);
  if (known === undefined) {
    if (view !== undefined)
      throw new DbkitError('server.running', `a Patroni that dbkit did not start answers at ${member.api}`, {
        hint: 'stop it first (systemctl stop patroni); nothing was changed',
      });
    return false;
  }
  const ageSeconds = view?.dcsSeenAt && sentAt ? (sentAt.getTime() - view.dcsSeenAt.getTime()) / 1000 : Number.POSITIVE_INFINITY;
  const isLeader = view?.isPrimary === true && (await ask(member, '/leader', signal, { timeoutMs: 1_000 })).status === 200;
  system.log.warn('patroni.orphan', 'the Patroni of an earlier dbkit still runs without a guard; it is ended and started again', {
    pid: known.pid,
  });
  signalTo(known.pid, 'SIGKILL'); // SIGTERM would stop its server, and hand the lead over.
  const endMs = system.clock.monotonicMs() + END_MS;
  while ((await lives(known)) && system.clock.monotonicMs() < endMs) await system.clock.sleep(20, signal);
  return isLeader && ageSeconds <= FRESH_SECONDS;
}
