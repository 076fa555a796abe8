import type { Connection } from '../../instance/connection.ts';
import { openAsSuperuser, openForServer } from '../../instance/sessions.ts';

/** The way to a server, as whoever rehearses reaches it. */
export type Reach = Parameters<typeof openAsSuperuser>[0];

export interface CountedTable {
  readonly database: string;
  readonly schema: string;
  readonly name: string;
  readonly rows: number;
  readonly sizeBytes: number;
}

const DATABASES = 'SELECT datname AS name FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1';
const TABLES = `
  SELECT n.nspname AS schema, c.relname AS name, pg_table_size(c.oid)::float8 AS "sizeBytes"
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2`;

/** Reads every row of every table of the user's. Unlogged ones are empty after a recovery, so they are left out. */
export async function countRows(reach: Reach, signal: AbortSignal): Promise<readonly CountedTable[]> {
  const databases = await onServer(reach, signal, (session) => session.query<{ name: string }>(DATABASES));
  const all: CountedTable[] = [];
  for (const { name: database } of databases)
    await inDatabase(reach, database, signal, async (session) => {
      const id = session.escapeIdentifier;
      for (const table of await session.query<Omit<CountedTable, 'database' | 'rows'>>(TABLES)) {
        const [row] = await session.query<{ rows: number }>(
          `SELECT count(*)::float8 AS rows FROM ONLY ${id(table.schema)}.${id(table.name)}`,
        );
        all.push({ database, ...table, rows: row!.rows });
      }
    });
  return all;
}

export const inDatabase = <T>(reach: Reach, database: string, signal: AbortSignal, work: (session: Connection) => Promise<T>): Promise<T> =>
  openAsSuperuser(reach, database, {}, signal).then((session) => work(session).finally(() => session.end()));

/** The same for what any database of the server tells. */
export const onServer = <T>(reach: Reach, signal: AbortSignal, work: (session: Connection) => Promise<T>): Promise<T> =>
  openForServer(reach, {}, signal).then((session) => work(session).finally(() => session.end()));

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
