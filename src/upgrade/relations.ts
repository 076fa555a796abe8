import type { Connection } from '../instance/connection.ts';
import { connectSuperuser, type Local } from '../instance/local.ts';

/** One relation of a user's, as the catalogs and the file system show it; nothing of the user's runs for it. */
export interface KnownRelation {
  readonly database: string;
  readonly name: string;
  readonly kind: string;
  /** Of its main fork. */
  readonly sizeBytes: number;
}

/** Relations of users but those that extensions bring, as an extension of another version may bring others. */
const RELATIONS = `
  SELECT n.nspname || '.' || c.relname AS name, c.relkind::text AS kind,
         CASE WHEN c.relkind IN ('r', 'm', 'S') THEN pg_catalog.pg_relation_size(c.oid) ELSE 0 END::text AS size
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' AND c.relpersistence <> 't'
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
   ORDER BY 1, 2`;

async function relationsIn(session: Connection, database: string): Promise<KnownRelation[]> {
  const rows = await session.query<{ name: string; kind: string; size: string }>(RELATIONS);
  return rows.map(({ name, kind, size }) => ({ database, name, kind, sizeBytes: Number(size) }));
}

/** Of these databases of a server that only dbkit reaches. */
export async function listKnown(
  local: Local,
  socketDir: string,
  databases: readonly string[],
  signal: AbortSignal,
): Promise<KnownRelation[]> {
  const all: KnownRelation[] = [];
  for (const database of databases) {
    const session = await connectSuperuser(local, database, signal, socketDir);
    try {
      for (const relation of await relationsIn(session, database)) all.push(relation);
    } finally {
      await session.end();
    }
  }
  return all;
}

/**
 * Pure. What the old cluster has and the new one has not, in words. `bySize`: pg_upgrade takes the files of tables over as they are, so each has the
 * very size that it had.
 */
export function differences(before: readonly KnownRelation[], after: readonly KnownRelation[], { bySize }: { bySize: boolean }): string[] {
  const keyOf = ({ database, name, kind }: KnownRelation): string => `${kind} ${database} ${name}`;
  const there = new Map(after.map((relation) => [keyOf(relation), relation]));
  return before.flatMap((relation) => {
    const found = there.get(keyOf(relation));
    if (found === undefined) return [`${relation.name} of database ${relation.database} is missing`];
    if (!bySize || !['r', 'm'].includes(relation.kind) || found.sizeBytes === relation.sizeBytes) return [];
    return [`${relation.name} of database ${relation.database} has ${found.sizeBytes} bytes instead of ${relation.sizeBytes}`];
  });
}
