import { wordsOf } from '../kernel/errors.ts';
import type { PatientSession } from './session.ts';

interface Index {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  readonly isToast: boolean;
}

const INDEXES = `
  SELECT i.indexrelid::text AS oid, n.nspname AS schema, c.relname AS name, i.indrelid = t.reltoastrelid AS "isToast"
    FROM pg_class t JOIN pg_index i ON i.indrelid IN (t.oid, t.reltoastrelid) JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE t.oid = $1::oid ORDER BY i.indrelid = t.reltoastrelid DESC, 1`;

/**
 * A table whose rows are whole cannot be read while one of its indexes is damaged: the planner looks into each, and values kept aside (TOAST) are
 * found through theirs. An index that cannot be made anew yet is hidden from the planner (plancat.c, get_relation_info) until it can.
 */
export async function rebuildIndexes(session: PatientSession, table: string): Promise<void> {
  const { id } = session;
  for (const { oid, schema, name, isToast } of await session.query<Index>(INDEXES, [table])) {
    const isAnew = await session.query(`REINDEX INDEX ${id(schema)}.${id(name)}`).then(
      () => true,
      () => false,
    );
    if (!isAnew && !isToast) await session.query('UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::oid', [oid]).catch(wordsOf);
  }
}
