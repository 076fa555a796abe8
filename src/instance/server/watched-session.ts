import { DbkitError, errnoOf, isAbort } from '../../kernel/errors.ts';
import type { Connection } from '../connection.ts';
import { connectSuperuser, type Local } from '../local.ts';
import { effortOf, titleOf } from '../postmaster.ts';
import type { Harm } from '../session-trouble.ts';
import type { SessionLimits } from '../sessions.ts';
import { isRecovered, serverAt, titlesOf } from './crash.ts';

const LOOK_EVERY_MS = 1_000;
/** Processor time: a session begins in a hundredth of it, whatever there is. */
const BEGIN_MS_MAX = 5_000;
const STATEMENT_TIMEOUT_MS = 60_000;
/** A statement that its timeout does not end. */
const STATEMENT_MS_MAX = STATEMENT_TIMEOUT_MS + 5_000;
/** Of its own: none of dbkit's questions needs a tenth of it, and one that goes round takes it in seconds. */
const MEMORY_BYTES_MAX = 1024 ** 3;

/** A session of dbkit's own did harm, now or before: this database is not asked any more. */
export class UnaskedDatabase extends DbkitError {
  readonly harm: Harm;

  constructor(database: string, harm: Harm, cause?: unknown) {
    super('service.unready', `a session in ${database} ${harm === 'endless' ? 'comes to no end' : 'crashes the server'}`, { cause });
    this.name = 'UnaskedDatabase';
    this.harm = harm;
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
 * UnaskedDatabase then, and without a session where one has done harm before (`local.unasked`).
 */
export async function inWatchedSession<T>(
  local: Local,
  { database, socketDir, limits }: Asked,
  work: (session: Pick<Connection, 'query'>) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const harm = local.unasked?.get(database);
  if (harm) throw new UnaskedDatabase(database, harm);
  let session: Connection | undefined;
  let askedMs: number | undefined;
  const over = new AbortController();
  const { clock } = local.system;
  const backend = () => ({ pid: session?.backendPid, asksForMs: askedMs === undefined ? 0 : clock.monotonicMs() - askedMs });
  const cut = (): void => void session?.end();
  const watch = watchOver(local, { database, socketDir, backend, cut }, { over: over.signal, signal });
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
    if (!(await watch) || isAbort(cause)) throw cause;
    throw new UnaskedDatabase(database, 'endless', cause);
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
  /** Hangs up: of a process that dbkit may not kill. */
  cut(): void;
}

/** True when a process was killed, or left where dbkit may not, seen twice beyond a limit: the first look may come out of a pause of the whole machine. While a session begins, its process is known by its title alone: so are those of earlier ones that dbkit has left. */
async function watchOver(
  local: Local,
  { database, socketDir, backend, cut }: Watched,
  { over, signal }: { readonly over: AbortSignal; readonly signal: AbortSignal },
): Promise<boolean> {
  const { settings, system } = local;
  const client = `${settings.superuser} ${database} [local] `;
  const begins = (pid: number): boolean => ['startup', 'authentication'].some((activity) => titleOf(pid).endsWith(client + activity));
  const firstBeyond = new Map<number, number>(); // Its processor time when it was first seen beyond a limit.
  try {
    while (!over.aborted) {
      await system.clock.sleep(LOOK_EVERY_MS, over);
      const postmaster = await serverAt(local, socketDir);
      if (postmaster === undefined) continue;
      const before = titlesOf(postmaster);
      const own = backend();
      const endless = [...before.keys()].filter((pid) => {
        if (pid !== own.pid && !begins(pid)) return false;
        const { processorMs, ownBytes } = effortOf(pid);
        const isLarge = ownBytes > MEMORY_BYTES_MAX;
        const isLong = pid === own.pid ? own.asksForMs > STATEMENT_MS_MAX : processorMs > BEGIN_MS_MAX;
        const earlier = firstBeyond.get(pid);
        if (isLarge || isLong) firstBeyond.set(pid, earlier ?? processorMs);
        else firstBeyond.delete(pid);
        return earlier !== undefined && (isLarge || (isLong && processorMs > earlier)); // One that waits for a disk is left to it.
      });
      if (endless.length === 0) continue;
      const killed = endless.filter(kill);
      local.unasked?.set(database, 'endless');
      system.log.warn(
        'session.endless',
        `a question to ${database} came to no end and could not be cancelled; ${killed.length > 0 ? KILLED : LEFT}`,
        {
          pids: endless.map(String),
        },
      );
      if (killed.length > 0) await isRecovered({ postmaster, before }, system.clock, signal).catch(() => false);
      else cut();
      return true;
    }
  } catch {
    // The session is over.
  }
  return false;
}

const KILLED = 'its process was killed, PostgreSQL ends every session and recovers by itself';
const LEFT = 'dbkit may not kill its process, and has hung up';

/** Not SIGQUIT, which may wait for a lock of malloc's that the process itself holds (quickdie, postgres.c). */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch (cause) {
    if (errnoOf(cause) === 'EPERM' || errnoOf(cause) === 'ESRCH') return false;
    throw cause;
  }
}
