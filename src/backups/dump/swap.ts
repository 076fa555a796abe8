import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { openMaintenance, type ServerNeeds } from './loader.ts';
import { inTransaction, keepRoles } from './roles.ts';

const OBJECT_IN_USE = '55006';
const SWAP_ATTEMPTS = 5;
const TERMINATE_EVERY_MS = 50;
/** A name has this many bytes at most; the server cuts a longer one (NAMEDATALEN - 1). */
const NAME_MAX_BYTES = 63;

/** Under which name a database is kept: its own, cut where the label would not fit, and one that nobody has. */
export async function replacedName(session: Connection, name: string, label: string): Promise<string> {
  const taken = new Set((await session.query<{ name: string }>('SELECT datname AS name FROM pg_database')).map((row) => row.name));
  for (let count = 1; ; count += 1) {
    const candidate = nameBeside(name, count === 1 ? label : `${label}_${count}`);
    if (!taken.has(candidate)) return candidate;
  }
}

/** Pure. `NAME_LABEL` in 63 bytes: without its first word where that makes room, else with as much of the name as fits, and no half of a character. */
export function nameBeside(name: string, label: string): string {
  const stamp = label.slice(label.indexOf('_') + 1);
  for (const whole of [`${name}_${label}`, `${name}_${stamp}`]) if (Buffer.byteLength(whole) <= NAME_MAX_BYTES) return whole;
  let kept = '';
  for (const character of name) {
    if (Buffer.byteLength(`${kept}${character}_${label}`) > NAME_MAX_BYTES) break;
    kept += character;
  }
  return `${kept}_${label}`;
}

/** A prepared transaction keeps its database from being renamed, and no session can be ended for it. Rejects with `recovery.refused`, naming it. */
export async function requireNoPrepared(session: Connection, database: string): Promise<void> {
  const prepared = await session.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts WHERE database = $1 ORDER BY prepared', [
    database,
  ]);
  if (prepared.length === 0) return;
  const named = prepared.slice(0, 3).map(({ gid }) => session.escapeLiteral(gid));
  throw new DbkitError(
    'recovery.refused',
    `${prepared.length === 1 ? 'a prepared transaction keeps' : `${prepared.length} prepared transactions keep`} the database ${database} where it is: ${named.join(', ')}`,
    {
      hint: `end it in that database with COMMIT PREPARED ${named[0]} or ROLLBACK PREPARED ${named[0]}, or restore beside it with --into NAME; nothing was changed`,
    },
  );
}

/**
 * Both renames, and whose roles are to stay, in one transaction: whoever connects meanwhile waits for its end, as ALTER DATABASE locks the name first, and a kill leaves
 * either all of it or nothing. Resolves to how many sessions of clients were ended.
 */
export async function swap(
  needs: ServerNeeds,
  session: Connection,
  { beside, into, replaced, madeRoles }: { beside: string; into: string; replaced: string | null; madeRoles: readonly string[] },
  signal: AbortSignal,
): Promise<number> {
  const id = session.escapeIdentifier;
  const rename = (): Promise<void> =>
    inTransaction(session, async () => {
      if (replaced !== null) await session.query(`ALTER DATABASE ${id(into)} RENAME TO ${id(replaced)}`);
      await session.query(`ALTER DATABASE ${id(beside)} RENAME TO ${id(into)}`);
      await keepRoles(session, madeRoles);
      needs.system.reached('dump.swapping');
    });
  if (replaced !== null) return withoutSessions(needs, session, into, rename, signal);
  await rename();
  return 0;
}

/**
 * Statements that need a database without sessions, as RENAME and a copy of it do: each locks it, so that whoever connects waits, and waits five
 * seconds for the sessions that are there, which another session ends (dbcommands.c). Resolves to how many of clients were ended.
 */
export async function withoutSessions(
  needs: ServerNeeds,
  session: Connection,
  database: string,
  work: () => Promise<void>,
  signal: AbortSignal,
): Promise<number> {
  let ended = 0;
  for (let attempt = 1; ; attempt += 1) {
    await requireNoPrepared(session, database);
    const ending = endSessions(needs, database, signal);
    try {
      await work();
    } catch (cause) {
      if (sqlStateOf(cause) !== OBJECT_IN_USE || attempt >= SWAP_ATTEMPTS) throw cause;
      continue;
    } finally {
      ended += await ending.stop();
    }
    return ended;
  }
}

/** Ends the sessions of a database again and again, from a session of its own, until it is stopped; then it tells how many were of clients. */
function endSessions(needs: ServerNeeds, database: string, signal: AbortSignal): { stop(): Promise<number> } {
  const over = new AbortController();
  const ended = new Set<number>();
  const work = (async () => {
    const session = await openMaintenance(needs, signal);
    try {
      while (!over.signal.aborted) {
        const found = await session.query<{ pid: number; isClient: boolean }>(
          `SELECT pid, backend_type = 'client backend' AS "isClient", pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`,
          [database],
        );
        for (const { pid, isClient } of found) if (isClient) ended.add(pid);
        await needs.system.clock.sleep(TERMINATE_EVERY_MS, over.signal).catch(() => undefined);
      }
    } finally {
      await session.end();
    }
  })();
  return {
    stop: async () => {
      over.abort();
      await work.catch(() => undefined); // The statement tells whether it did its work.
      return ended.size;
    },
  };
}
