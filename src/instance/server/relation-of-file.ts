import { isAbort } from '../../kernel/errors.ts';
import { connectSuperuser, type Local } from '../local.ts';

interface Way {
  readonly local: Local;
  readonly socketDir: string | undefined;
}

/** The relation that a file of PGDATA belongs to, by the server's own catalogs. */
export interface FileOwner {
  readonly database: string;
  readonly oid: number;
  /** Its name with the schema, quoted where it must be; of a TOAST table and its index: of the table that they belong to. */
  readonly relation: string;
  readonly kind: 'table' | 'index';
  /** The index to rebuild. */
  readonly index: string;
  readonly isCatalog: boolean;
  /** As the last VACUUM or ANALYZE counted them. */
  readonly rowsPerPage: number;
}

interface Row {
  readonly oid: string;
  readonly relation: string;
  readonly index: string;
  readonly kind: string;
  readonly catalog: boolean;
  readonly rows_per_page: number | null;
}

/** The table that a TOAST table, or its index, belongs to is what people know. */
const OWNER = `
  SELECT c.oid::text AS oid, format('%I.%I', n.nspname, o.relname) AS relation, c.oid::regclass::text AS index, c.relkind AS kind,
         c.oid < 16384 AS catalog, CASE WHEN c.relpages > 0 AND c.reltuples > 0 THEN c.reltuples / c.relpages END AS rows_per_page
    FROM pg_class c
    LEFT JOIN pg_index i ON i.indexrelid = c.oid
    LEFT JOIN pg_class t ON t.reltoastrelid = coalesce(i.indrelid, c.oid) AND t.oid <> c.oid
    JOIN pg_class o ON o.oid = coalesce(t.oid, c.oid)
    JOIN pg_namespace n ON n.oid = o.relnamespace
   WHERE pg_relation_filepath(c.oid) = $1`;

/** By path without segment number ('base/5/16384'). What no database that lets somebody in knows is left out. */
export async function ownersOfFiles(way: Way, paths: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, FileOwner>> {
  const found = new Map<string, FileOwner>();
  if (paths.length === 0) return found;
  for (const { name, oid } of await databases(way, signal)) {
    const own = paths.filter((path) => databaseOf(path) === oid || (databaseOf(path) === undefined && name === 'postgres'));
    if (own.length === 0) continue;
    await inDatabase(way, name, signal, async (query) => {
      for (const path of own) {
        const [row] = (await query(OWNER, [path])) as readonly Row[];
        if (row)
          found.set(path, {
            database: name,
            oid: Number(row.oid),
            relation: row.relation,
            index: row.index,
            kind: row.kind === 'i' ? 'index' : 'table',
            isCatalog: row.catalog,
            rowsPerPage: row.rows_per_page ?? 0,
          });
      }
    });
  }
  return found;
}

/** Which of these relations are still there, and in which file. */
export async function filesOfRelations(
  way: Way,
  relations: readonly { readonly database: string; readonly oid: number }[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const database of new Set(relations.map((relation) => relation.database)))
    await inDatabase(way, database, signal, async (query) => {
      for (const { oid } of relations.filter((relation) => relation.database === database)) {
        const [row] = (await query('SELECT pg_relation_filepath(oid) AS path FROM pg_class WHERE oid = $1', [oid])) as { path: string }[];
        if (row) found.set(`${database} ${oid}`, row.path);
      }
    });
  return found;
}

const databaseOf = (path: string): string | undefined => /^(?:base|pg_tblspc\/\d+\/[^/]+)\/(\d+)\//.exec(path)?.[1];

async function databases(way: Way, signal: AbortSignal): Promise<readonly { readonly name: string; readonly oid: string }[]> {
  let rows: { name: string; oid: string }[] = [];
  await inDatabase(way, 'postgres', signal, async (query) => {
    rows = (await query('SELECT datname AS name, oid::text FROM pg_database WHERE datallowconn', [])) as typeof rows;
  });
  return rows;
}

type Query = (text: string, values: readonly unknown[]) => Promise<readonly unknown[]>;

/** A database that does not answer says nothing; what is wrong with it is found elsewhere. */
async function inDatabase(
  { local, socketDir }: Way,
  database: string,
  signal: AbortSignal,
  work: (query: Query) => Promise<void>,
): Promise<void> {
  try {
    const session = await connectSuperuser(local, database, signal, socketDir);
    try {
      await work((text, values) => session.query(text, [...values]));
    } finally {
      await session.end();
    }
  } catch (cause) {
    if (isAbort(cause)) throw cause;
    local.system.log.debug('relations.unknown', `database ${database} could not be asked what its files are`, { why: String(cause) });
  }
}
