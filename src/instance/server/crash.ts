import { join } from 'node:path';
import { errnoOf } from '../../kernel/errors.ts';
import type { Clock } from '../../kernel/machine.ts';
import { readPlainText } from '../../machine/plain-file.ts';
import type { Local } from '../local.ts';
import { effortOf, processesOf, titleOf } from '../postmaster.ts';

const RECOVERY_MS_MAX = 60_000;
const POLL_MS = 100;

/** A server, and the processes that it had before one of them died. */
export interface Crashing {
  readonly postmaster: number;
  readonly before: ReadonlySet<number>;
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
  return postmaster === undefined ? undefined : { postmaster, before: new Set(processesOf(postmaster).map(({ pid }) => pid)) };
}

/**
 * Waits until the server has recovered from the crash of one of its processes: another walwriter is there, which is started when recovery is over (postmaster.c).
 * False where it has gone, or a minute has passed; a standby has no walwriter.
 */
export async function isRecovered({ postmaster, before }: Crashing, clock: Clock, signal: AbortSignal): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < RECOVERY_MS_MAX; waitedMs += POLL_MS) {
    await clock.sleep(POLL_MS, signal);
    if (!isThere(postmaster)) return false;
    if (processesOf(postmaster).some(({ pid }) => !before.has(pid) && /\bwalwriter\b/.test(titleOf(pid)))) return true;
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
