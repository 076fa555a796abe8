import { openAsSuperuser, openForServer } from '../../instance/sessions.ts';
import { within } from '../../kernel/deadline.ts';
import type { Place } from '../members.ts';
import type { Login } from '../server.ts';

/** Rows of all tables of users, counted one by one; `rows` null: it would have taken longer than half a minute. */
export interface CountedRows {
  readonly databases: number;
  readonly tables: number;
  readonly rows: number | null;
}

const LIMIT_MS = 30_000;
const DATABASES = 'SELECT datname AS name FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1';
const TABLES = `
  SELECT count(*)::int AS tables, coalesce(sum((xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM %s', oid::regclass), false, true, '')))[1]::text::int8), 0)::text AS rows
    FROM pg_class WHERE relkind = 'r' AND relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_' OR nspname = 'information_schema')`;

/** Rejects where the server lets nobody in. */
export async function countRows(place: Place, login: Login, signal: AbortSignal): Promise<CountedRows> {
  const address = { ...login, socketDir: place.host, port: place.port };
  const limits = { connectTimeoutMs: LIMIT_MS, statementTimeoutMs: LIMIT_MS };
  const names = await within([signal], LIMIT_MS, async (bounded) => {
    const session = await openForServer(address, limits, bounded);
    return session.query<{ name: string }>(DATABASES).finally(() => session.end());
  });
  let [tables, rows] = [0, 0 as number | null];
  for (const { name } of names) {
    const session = await openAsSuperuser(address, name, limits, signal);
    const counted = await session
      .query<{ tables: number; rows: string }>(TABLES)
      .catch(() => undefined)
      .finally(() => session.end());
    tables += counted?.[0]?.tables ?? 0;
    rows = rows === null || counted === undefined ? null : rows + Number(counted[0]!.rows);
  }
  return { databases: names.length, tables, rows };
}
