import type { Connection } from './connection.ts';

interface Facts {
  readonly kind: string;
  readonly superuser: boolean;
  readonly column: string | null;
  readonly runs: boolean;
}

const FACTS = `
  SELECT relkind::text AS kind, current_setting('is_superuser') = 'on' AS superuser,
         (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum LIMIT 1) AS "column",
         EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND (indexprs IS NOT NULL OR indpred IS NOT NULL)) AS runs
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = $1 AND relname = $2`;

/**
 * Rows of a table (without those of tables that inherit from it) or of a materialized view, and nothing of the user's runs as a superuser for it: while
 * it plans a count, the planner evaluates what is constant in indexes, as whoever asks (relcache.c, RelationGetIndexExpressions). COPY of a table
 * has no plan. Undefined for a view with such an index, which COPY does not read before 18 (copyto.c).
 */
export async function rowsOf(
  session: Connection,
  { schema, name }: { readonly schema: string; readonly name: string },
): Promise<number | undefined> {
  const id = session.escapeIdentifier;
  const relation = `${id(schema)}.${id(name)}`;
  const [facts] = await session.query<Facts>(FACTS, [schema, name]);
  if (facts?.superuser && facts.kind === 'r') {
    const columns = facts.column === null ? '' : ` (${id(facts.column)})`; // One is enough.
    const [copied] = await session.results(`COPY ${relation}${columns} TO '/dev/null'`);
    return copied?.rowCount ?? undefined;
  }
  if (facts?.superuser && facts.runs) return undefined;
  const [counted] = await session.query<{ rows: number }>(`SELECT count(*)::float8 AS rows FROM ONLY ${relation}`);
  return counted!.rows;
}
