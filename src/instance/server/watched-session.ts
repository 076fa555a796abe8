import { totalmem } from 'node:os';
import { DbkitError, errnoOf, isAbort } from '../../kernel/errors.ts';
import type { Clock } from '../../kernel/machine.ts';
import type { Connection } from '../connection.ts';
import { connectSuperuser, type Local } from '../local.ts';
import { effortOf, findPostmaster, processesOf, titleOf } from '../postmaster.ts';
import type { SessionLimits } from '../sessions.ts';

const LOOK_EVERY_MS = 1_000;
/** Processor time: no session takes as long to begin. */
const BEGIN_MS_MAX = 10_000;
const STATEMENT_TIMEOUT_MS = 60_000;
/** A statement that its timeout does not end. */
const STATEMENT_MS_MAX = STATEMENT_TIMEOUT_MS + 5_000;
const RECOVERY_MS_MAX = 60_000;
const POLL_MS = 100;
const GIBIBYTE = 1024 ** 3;

/** The backend of one of dbkit's own sessions was ended, as it came to no end. */
export class EndlessSession extends DbkitError {
  constructor(database: string, cause: unknown) {
    super('service.unready', `the session in ${database} came to no end and heard no timeout, so its process was ended`, { cause });
    this.name = 'EndlessSession';
  }
}

interface Asked {
  readonly database: string;
  readonly socketDir?: string | undefined;
  readonly limits?: SessionLimits;
}

/**
 * A superuser's session for one piece of work whose statements are short. Where pages of an index lead round, a session hears neither statement_timeout
 * nor a signal to stop, and takes all the memory there is: its process is killed, which the server takes for a crash and recovers from by itself.
 * Rejects with EndlessSession then.
 */
export async function inWatchedSession<T>(
  local: Local,
  { database, socketDir, limits }: Asked,
  work: (session: Connection) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  let session: Connection | undefined;
  const over = new AbortController();
  const watch = watchOver(local, { database, pidOf: () => session?.backendPid }, { over: over.signal, signal });
  try {
    session = await connectSuperuser(local, database, signal, socketDir, { statementTimeoutMs: STATEMENT_TIMEOUT_MS, ...limits });
    return await work(session);
  } catch (cause) {
    over.abort();
    throw (await watch) && !isAbort(cause) ? new EndlessSession(database, cause) : cause;
  } finally {
    over.abort();
    await session?.end();
  }
}

/** True when a process was ended. While a session begins, its process is known by its title alone: so are those of earlier ones that dbkit has left. */
async function watchOver(
  { settings, volume, system }: Local,
  { database, pidOf }: { readonly database: string; readonly pidOf: () => number | undefined },
  { over, signal }: { readonly over: AbortSignal; readonly signal: AbortSignal },
): Promise<boolean> {
  const client = `${settings.superuser} ${database} [local] `;
  const begins = (title: string): boolean => ['startup', 'authentication'].some((activity) => title.endsWith(client + activity));
  try {
    for (;;) {
      await system.clock.sleep(LOOK_EVERY_MS, over);
      const postmaster = await findPostmaster(volume.dataDir);
      if (postmaster.kind !== 'alive') continue;
      const own = pidOf();
      const there = processesOf(postmaster.pid).map(({ pid }) => pid);
      const limitOf = (pid: number): number | undefined =>
        pid === own ? STATEMENT_MS_MAX : begins(titleOf(pid)) ? BEGIN_MS_MAX : undefined;
      const endless = there.filter((pid) => isEndless(pid, limitOf(pid)) && kill(pid));
      if (endless.length === 0) continue;
      system.log.warn(
        'session.endless',
        `a session in ${database} came to no end, and its process was ended; PostgreSQL recovers by itself`,
        {
          pids: endless.map(String),
        },
      );
      await awaitRecovery(postmaster.pid, new Set(there), system.clock, signal);
      return true;
    }
  } catch {
    return false; // The session is over, or nobody can tell: then nothing is ended.
  }
}

/** Until another walwriter is there, which is started when recovery is over (postmaster.c); a standby has none. */
async function awaitRecovery(postmaster: number, before: ReadonlySet<number>, clock: Clock, signal: AbortSignal): Promise<void> {
  const isBack = (): boolean => processesOf(postmaster).some(({ pid }) => !before.has(pid) && /\bwalwriter\b/.test(titleOf(pid)));
  for (let waitedMs = 0; waitedMs < RECOVERY_MS_MAX && !isBack(); waitedMs += POLL_MS) await clock.sleep(POLL_MS, signal);
}

function isEndless(pid: number, limitMs: number | undefined): boolean {
  if (limitMs === undefined) return false;
  const { processorMs, ownBytes } = effortOf(pid);
  return processorMs > limitMs || ownBytes > Math.min(GIBIBYTE, (process.constrainedMemory() || totalmem()) / 4, totalmem() / 4);
}

/** SIGQUIT may wait for a lock of malloc's that the process itself holds (quickdie, postgres.c). */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch (cause) {
    if (errnoOf(cause) === 'EPERM' || errnoOf(cause) === 'ESRCH') return false;
    throw cause;
  }
}
