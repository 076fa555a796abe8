import { join } from 'node:path';
import { DbkitError, errnoOf, isAbort } from '../../kernel/errors.ts';
import type { Clock } from '../../kernel/machine.ts';
import { readPlainText } from '../../machine/plain-file.ts';
import type { Connection } from '../connection.ts';
import { connectSuperuser, type Local } from '../local.ts';
import { effortOf, processesOf, titleOf } from '../postmaster.ts';
import type { SessionLimits } from '../sessions.ts';

const LOOK_EVERY_MS = 1_000;
/** Processor time: a session begins in a hundredth of it, whatever there is. */
const BEGIN_MS_MAX = 5_000;
const STATEMENT_TIMEOUT_MS = 60_000;
/** A statement that its timeout does not end. */
const STATEMENT_MS_MAX = STATEMENT_TIMEOUT_MS + 5_000;
/** Of its own: none of dbkit's questions needs a tenth of it, and one that goes round takes it in seconds. */
const MEMORY_BYTES_MAX = 1024 ** 3;
/** Two looks in a row: the first one may come out of a pause of the whole machine. */
const LOOKS = 2;
const RECOVERY_MS_MAX = 60_000;
const POLL_MS = 100;

/** The backend of a session of dbkit's own was ended, as it came to no end; now or before. */
export class EndlessSession extends DbkitError {
  constructor(database: string, cause?: unknown) {
    super('service.unready', `a session in ${database} comes to no end`, { cause });
    this.name = 'EndlessSession';
  }
}

interface Asked {
  readonly database: string;
  readonly socketDir?: string | undefined;
  readonly limits?: SessionLimits;
}

/**
 * A superuser's session for work whose statements are short. Where pages of an index lead round, a session hears neither statement_timeout nor a signal to
 * stop, and takes all the memory there is: its process is killed, which the server takes for a crash and recovers from by itself. Rejects with
 * EndlessSession then, and without a session where that has been so before (`local.endless`).
 */
export async function inWatchedSession<T>(
  local: Local,
  { database, socketDir, limits }: Asked,
  work: (session: Pick<Connection, 'query'>) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  if (local.endless?.has(database)) throw new EndlessSession(database);
  let session: Connection | undefined;
  let askedMs: number | undefined;
  const over = new AbortController();
  const { clock } = local.system;
  const backend = () => ({ pid: session?.backendPid, asksForMs: askedMs === undefined ? 0 : clock.monotonicMs() - askedMs });
  const watch = watchOver(local, { database, socketDir, backend }, { over: over.signal, signal });
  try {
    const opened = await connectSuperuser(local, database, signal, socketDir, { statementTimeoutMs: STATEMENT_TIMEOUT_MS, ...limits });
    session = opened;
    return await work({
      query: (sql, params) => {
        askedMs = clock.monotonicMs();
        return opened.query(sql, params);
      },
    });
  } catch (cause) {
    over.abort();
    const isEnded = await watch;
    if (isAbort(cause) || !isEnded) throw cause;
    local.endless?.add(database);
    throw new EndlessSession(database, cause);
  } finally {
    over.abort();
    await session?.end();
  }
}

interface Watched {
  readonly database: string;
  readonly socketDir: string | undefined;
  /** The session's own process, once it has begun, and for how long its statement has been under way. */
  backend(): { readonly pid: number | undefined; readonly asksForMs: number };
}

/** True when a process was ended. While a session begins, its process is known by its title alone: so are those of earlier ones that dbkit has left. */
async function watchOver(
  local: Local,
  { database, socketDir, backend }: Watched,
  { over, signal }: { readonly over: AbortSignal; readonly signal: AbortSignal },
): Promise<boolean> {
  const { settings, system } = local;
  const client = `${settings.superuser} ${database} [local] `;
  const begins = (pid: number): boolean => ['startup', 'authentication'].some((activity) => titleOf(pid).endsWith(client + activity));
  const seen = new Map<number, { readonly looks: number; readonly processorMs: number }>();
  try {
    for (;;) {
      await system.clock.sleep(LOOK_EVERY_MS, over);
      const postmaster = await postmasterAt(socketDir ?? settings.socketDir, settings.port);
      if (postmaster === undefined) continue;
      const there = processesOf(postmaster).map(({ pid }) => pid);
      const own = backend();
      for (const pid of there) {
        const { processorMs, ownBytes } = effortOf(pid);
        const isLong = pid === own.pid ? own.asksForMs > STATEMENT_MS_MAX : begins(pid) && processorMs > BEGIN_MS_MAX;
        const isLarge = ownBytes > MEMORY_BYTES_MAX && (pid === own.pid || begins(pid));
        const last = seen.get(pid);
        const works = last === undefined || processorMs > last.processorMs; // One that waits for a disk is left to it.
        seen.set(pid, { looks: (isLong || isLarge) && works ? (last?.looks ?? 0) + 1 : 0, processorMs });
      }
      const endless = there.filter((pid) => (seen.get(pid)?.looks ?? 0) >= LOOKS);
      const killed = endless.filter(kill);
      if (killed.length === 0) continue;
      system.log.warn(
        'session.endless',
        `a question to ${database} came to no end and could not be cancelled, so its process was killed; PostgreSQL ends every session and recovers by itself`,
        { pids: killed.map(String) },
      );
      await awaitRecovery(postmaster, new Set(there), system.clock, signal);
      return true;
    }
  } catch {
    return false; // The session is over, or nobody can tell: then nothing is ended.
  }
}

/** The server that listens there, by the first line of its socket's lock file (miscinit.c, CreateSocketLockFile); undefined over TCP. */
async function postmasterAt(socketDir: string, port: number): Promise<number | undefined> {
  if (!socketDir.startsWith('/')) return undefined;
  const pid = Number((await readPlainText(join(socketDir, `.s.PGSQL.${port}.lock`))).split('\n')[0]);
  return Number.isInteger(pid) && pid > 1 ? pid : undefined;
}

/** Until another walwriter is there, which is started when recovery is over (postmaster.c), or the server has gone. A standby has none. */
async function awaitRecovery(postmaster: number, before: ReadonlySet<number>, clock: Clock, signal: AbortSignal): Promise<void> {
  for (let waitedMs = 0; waitedMs < RECOVERY_MS_MAX; waitedMs += POLL_MS) {
    await clock.sleep(POLL_MS, signal);
    if (!isThere(postmaster)) return;
    if (processesOf(postmaster).some(({ pid }) => !before.has(pid) && /\bwalwriter\b/.test(titleOf(pid)))) return;
  }
}

const isThere = (pid: number): boolean => effortOf(pid).processorMs > 0 || processesOf(pid).length > 0;

/** Not SIGQUIT, which may wait for a lock of malloc's that the process itself holds (quickdie, postgres.c). */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch (cause) {
    if (errnoOf(cause) === 'EPERM' || errnoOf(cause) === 'ESRCH') return false;
    throw cause;
  }
}
