import { join } from 'node:path';
import { errnoOf } from '../../kernel/errors.ts';
import type { Clock } from '../../kernel/machine.ts';
import { readPlainText } from '../../machine/plain-file.ts';
import type { Local } from '../local.ts';
import { effortOf, processesOf, titleOf } from '../postmaster.ts';

const RECOVERY_MS_MAX = 60_000;
const POLL_MS = 100;
/** A postmaster ends its other processes as soon as it hears of one that crashed. */
const NOTICED_MS_MAX = 5_000;

/** A server, and the processes that it had before one of them died: titles by pid. */
export interface Crashing {
  readonly postmaster: number;
  readonly before: ReadonlyMap<number, string>;
}

/** The server that listens there, by the first line of its socket's lock file (miscinit.c, CreateSocketLockFile); undefined over TCP. */
export async function serverAt({ settings }: Pick<Local, 'settings'>, socketDir = settings.socketDir): Promise<number | undefined> {
  if (!socketDir.startsWith('/')) return undefined;
  const text = await readPlainText(join(socketDir, `.s.PGSQL.${settings.port}.lock`)).catch(() => ''); // Perhaps it can be read at the next look.
  const pid = Number(text.split('\n')[0]);
  return Number.isInteger(pid) && pid > 1 ? pid : undefined;
}

/** It as it is now; undefined where its processes are not seen. */
export async function serverNow(local: Pick<Local, 'settings'>, socketDir?: string): Promise<Crashing | undefined> {
  const postmaster = await serverAt(local, socketDir);
  return postmaster === undefined ? undefined : { postmaster, before: titlesOf(postmaster) };
}

export const titlesOf = (postmaster: number): ReadonlyMap<number, string> =>
  new Map(processesOf(postmaster).map(({ pid }) => [pid, titleOf(pid)]));

/**
 * Waits until the server has recovered from the crash of one of its processes, which ends all of them: another walwriter is there, which is started when recovery is
 * over (postmaster.c); on a standby, which has none, another checkpointer. False where that one has not ended, the server has gone, or a minute has passed.
 */
export async function isRecovered({ postmaster, before }: Crashing, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const witness = [/\bwalwriter\b/, /\bcheckpointer\b/].find((role) => [...before.values()].some((title) => role.test(title)));
  if (witness === undefined) return false;
  for (let waitedMs = 0; waitedMs < RECOVERY_MS_MAX; waitedMs += POLL_MS) {
    await clock.sleep(POLL_MS, signal);
    if (!isThere(postmaster)) return false;
    const now = [...titlesOf(postmaster)].filter(([, title]) => witness.test(title));
    if (now.some(([pid]) => !before.has(pid))) return true;
    if (now.length > 0 && waitedMs >= NOTICED_MS_MAX) return false;
  }
  return false;
}

const isThere = (pid: number): boolean => effortOf(pid).processorMs > 0 || processesOf(pid).length > 0;

/** The server hung up without a word, as its process died, or another one did: it is no refusal, nor silence. */
export function isCutOff(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  return thrown.message === HUNG_UP || ['ECONNRESET', 'EPIPE'].includes(errnoOf(thrown) ?? '') || isCutOff(thrown.cause);
}

/** The driver's words where the stream ended before anybody had ended the session (pg, client.js). */
const HUNG_UP = 'Connection terminated unexpectedly';
