import type { Connection } from './connection.ts';

interface Facts {
  readonly superuser: boolean;
  readonly major: number;
  readonly kind: string | null;
  readonly column: string | null;
}

const FACTS = `
  SELECT current_setting('is_superuser') = 'on' AS superuser, current_setting('server_version_num')::int / 10000 AS major, relkind::text AS kind,
         (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum LIMIT 1) AS "column"
    FROM (SELECT) AS one LEFT JOIN (pg_class c JOIN pg_namespace n ON n.oid = relnamespace) ON nspname = $1 AND relname = $2`;

/** COPY reads materialized views from here on (copyto.c). */
const COPIES_VIEWS = 18;

/**
 * Rows of a table (without those of tables that inherit from it) or of a materialized view, and nothing of the user's runs as a superuser for it: while
 * it plans a count, the planner evaluates what is constant in indexes, as whoever asks (relcache.c, RelationGetIndexExpressions). COPY has no plan.
 * No look beforehand is enough for a plan: the owner makes an index, or another relation of that name, between the two. Undefined for a
 * materialized view that COPY does not read.
 */
export async function rowsOf(
  session: Connection,
  { schema, name }: { readonly schema: string; readonly name: string },
): Promise<number | undefined> {
  const id = session.escapeIdentifier;
  const relation = `${id(schema)}.${id(name)}`;
  const [facts] = await session.query<Facts>(FACTS, [schema, name]);
  const { superuser, major, kind, column } = facts!;
  if (superuser && kind === 'm' && major < COPIES_VIEWS) return undefined;
  if (superuser) {
    const columns = column === null ? '' : ` (${id(column)})`; // One is enough.
    const [copied] = await session.results(`COPY ${relation}${columns} TO '/dev/null'`);
    return copied?.rowCount ?? undefined;
  }
  const [counted] = await session.query<{ rows: number }>(`SELECT count(*)::float8 AS rows FROM ONLY ${relation}`);
  return counted!.rows;
}
