import { within } from '../../kernel/deadline.ts';
import { countRows, totalRows, userTables } from '../../restore/counted-rows.ts';
import type { Place } from '../members.ts';
import type { Login } from '../server.ts';

/** Rows of all tables of users, counted one by one; `rows` null: it would have taken longer than half a minute. */
export interface CountedRows {
  readonly databases: number;
  readonly tables: number;
  readonly rows: number | null;
}

const LIMIT_MS = 30_000;

/** Rejects where the server lets nobody in. */
export async function countMember({ host, port }: Place, login: Login, signal: AbortSignal): Promise<CountedRows> {
  const reach = { ...login, socketDir: host, port, limits: { connectTimeoutMs: LIMIT_MS, statementTimeoutMs: LIMIT_MS } };
  const found = await within([signal], LIMIT_MS, (bounded) => userTables(reach, bounded));
  const counted = await within([signal], LIMIT_MS, (bounded) => countRows(reach, bounded)).catch(() => undefined);
  signal.throwIfAborted();
  return {
    databases: found.length,
    tables: found.reduce((sum, { tables }) => sum + tables.length, 0),
    rows: counted === undefined ? null : totalRows(counted).rows,
  };
}
