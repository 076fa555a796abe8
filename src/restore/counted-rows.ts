import type { Connection } from '../instance/connection.ts';
import { rowsOf } from '../instance/count-rows.ts';
import { openAsSuperuser, openForServer, type ServerAddress, type SessionLimits } from '../instance/sessions.ts';

/** The way to a server, as whoever counts reaches it. */
export interface Reach extends ServerAddress {
  readonly limits?: SessionLimits;
}

export interface UserTable {
  readonly database: string;
  readonly schema: string;
  readonly name: string;
  readonly sizeBytes: number;
}

export interface CountedTable extends UserTable {
  readonly rows: number;
}

const DATABASES = 'SELECT datname AS name FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1';
const TABLES = `
  SELECT n.nspname AS schema, c.relname AS name, pg_table_size(c.oid)::float8 AS "sizeBytes"
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2`;

/** Every table of the user's, by database. Unlogged ones are empty after a recovery, so they are left out. */
export async function userTables(
  reach: Reach,
  signal: AbortSignal,
): Promise<readonly { readonly database: string; readonly tables: readonly UserTable[] }[]> {
  const databases = await onServer(reach, signal, (session) => session.query<{ name: string }>(DATABASES));
  const all: { database: string; tables: readonly UserTable[] }[] = [];
  for (const { name: database } of databases)
    await inDatabase(reach, database, signal, async (session) => {
      const tables = await session.query<Omit<UserTable, 'database'>>(TABLES);
      all.push({ database, tables: tables.map((table) => ({ database, ...table })) });
    });
  return all;
}

/** Reads every row of every one of them; a table that others inherit from is counted without theirs. */
export async function countRows(reach: Reach, signal: AbortSignal): Promise<readonly CountedTable[]> {
  const all: CountedTable[] = [];
  for (const { database, tables } of await userTables(reach, signal))
    await inDatabase(reach, database, signal, async (session) => {
      for (const table of tables) all.push({ ...table, rows: (await rowsOf(session, table))! }); // Of a table they are always known.
    });
  return all;
}

export const inDatabase = <T>(reach: Reach, database: string, signal: AbortSignal, work: (session: Connection) => Promise<T>): Promise<T> =>
  openAsSuperuser(reach, database, reach.limits ?? {}, signal).then((session) => work(session).finally(() => session.end()));

/** The same for what any database of the server tells. */
export const onServer = <T>(reach: Reach, signal: AbortSignal, work: (session: Connection) => Promise<T>): Promise<T> =>
  openForServer(reach, reach.limits ?? {}, signal).then((session) => work(session).finally(() => session.end()));

/** Differences in words, table by table; null where nothing does. Pure. */
export function differences(before: readonly CountedTable[], after: readonly CountedTable[]): string | null {
  const key = ({ database, schema, name }: CountedTable): string => `${database}: ${schema}.${name}`;
  const rows = new Map(after.map((table) => [key(table), table.rows]));
  const wrong = before.flatMap((table) => {
    const now = rows.get(key(table));
    if (now === table.rows) return [];
    return [`${key(table)} has ${now === undefined ? 'gone' : `${now} rows`} instead of ${table.rows}`];
  });
  return wrong.length === 0 ? null : wrong.slice(0, 5).join('; ');
}

export const totalRows = (tables: readonly CountedTable[]): { tables: number; rows: number } => ({
  tables: tables.length,
  rows: tables.reduce((sum, { rows }) => sum + rows, 0),
});
