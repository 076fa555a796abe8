import { readdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { programOf } from '../../instance/guard/program-of.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { unlessOwnTrouble } from '../../kernel/own-trouble.ts';
import { readPatroni } from '../answers.ts';
import type { AskPatroni } from '../patroni.ts';
import { lives, markOf, type ProcessMark, signalTo } from '../processes.ts';
import type { MemberFile } from './member-file.ts';

/** In the environment of a Patroni, and of whatever it starts: the state folder of the dbkit that guards it. */
const GUARDED_BY = 'DBKIT_GUARDED_BY';
const END_MS = 5_000;
/** A store that was seen so lately was seen within the lease, whatever ttl is. */
const FRESH_SECONDS = 3;

/** By it the dbkit that comes after a `kill -9` knows the Patroni that was left: no file has to be written, which a full disk would prevent. */
export const guardedBy = (stateDir: string): Readonly<Record<string, string>> => ({ [GUARDED_BY]: resolve(stateDir) });

/** A Patroni that a dbkit with this state folder has started, and that still runs: the oldest such process that is no server. */
export const leftPatroni = async (stateDir: string): Promise<ProcessMark | undefined> => (await startedByPatroni(stateDir))[0];

/** Patroni and whatever it has started but servers, those that run, the oldest first (proc(5)). */
export async function startedByPatroni(stateDir: string): Promise<readonly ProcessMark[]> {
  const words = `${GUARDED_BY}=${resolve(stateDir)}`;
  const pids = ((await readdir('/proc').catch(unlessOwnTrouble)) ?? []).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid): Promise<ProcessMark | readonly ProcessMark[]> => {
      const environment = (await readFile(`/proc/${pid}/environ`, 'utf8').catch(unlessOwnTrouble)) ?? ''; // Another user's.
      if (!environment.split('\0').includes(words) || (await programOf(pid)) === 'postgres') return [];
      return (await markOf(pid)) ?? [];
    }),
  );
  return found.flat().sort((a, b) => Number(a.startedTicks) - Number(b.startedTicks) || a.pid - b.pid);
}

/**
 * Ends a Patroni that outlived its dbkit: nobody guards it. True where it proved, just before, that it holds the lock, so that its server may go on
 * under the next one. Rejects with `server.running` where a Patroni that dbkit did not start answers for this member.
 */
export async function endOrphan(
  stateDir: string,
  member: MemberFile,
  { ask, system, signal }: { readonly ask: AskPatroni; readonly system: Pick<System, 'clock' | 'log'>; readonly signal: AbortSignal },
): Promise<boolean> {
  const known = await leftPatroni(stateDir);
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
