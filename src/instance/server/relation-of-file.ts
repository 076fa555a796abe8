import { isAbort } from '../../kernel/errors.ts';
import type { Connection } from '../connection.ts';
import { connectForServer, type Local } from '../local.ts';
import { inWatchedSession } from './watched-session.ts';

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
  readonly kind: 'table' | 'index' | 'sequence';
  /** The index to rebuild. */
  readonly index: string;
  readonly isCatalog: boolean;
  readonly isUnlogged: boolean;
  /** As much as a rebuild of it reads and writes: of an index, itself and its table. */
  readonly rebuildBytes: number;
  /** As the last VACUUM or ANALYZE counted them. */
  readonly rowsPerPage: number;
}

interface Row {
  readonly path: string;
  readonly oid: string;
  readonly relation: string;
  readonly index: string;
  readonly kind: string;
  readonly catalog: boolean;
  readonly rebuild_bytes: string;
  readonly unlogged: boolean;
  readonly rows_per_page: number | null;
}

/** The table that a TOAST table, or its index, belongs to is what people know. */
const OWNER = `
  SELECT pg_relation_filepath(c.oid) AS path, c.oid::text AS oid, format('%I.%I', n.nspname, o.relname) AS relation, c.oid::regclass::text AS index, c.relkind AS kind,
         c.oid < 16384 AS catalog, c.relpersistence = 'u' AS unlogged,
         (pg_relation_size(c.oid) + coalesce(pg_relation_size(i.indrelid), 0))::text AS rebuild_bytes,
         CASE WHEN c.relpages > 0 AND c.reltuples > 0 THEN c.reltuples / c.relpages END AS rows_per_page
    FROM pg_class c
    LEFT JOIN pg_index i ON i.indexrelid = c.oid
    LEFT JOIN pg_class t ON t.reltoastrelid = coalesce(i.indrelid, c.oid) AND t.oid <> c.oid
    JOIN pg_class o ON o.oid = coalesce(t.oid, c.oid)
    JOIN pg_namespace n ON n.oid = o.relnamespace
   WHERE pg_relation_filepath(c.oid) = ANY($1)`;

/** By path without segment number ('base/5/16384'). What no database that lets somebody in knows is left out. */
export async function ownersOfFiles(way: Way, paths: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, FileOwner>> {
  const found = new Map<string, FileOwner>();
  if (paths.length === 0) return found;
  const there = (await databases(way, signal)) ?? [];
  const shared = forShared(there);
  for (const { name, oid, isOpen } of there) {
    const own = paths.filter((path) => databaseOf(path) === oid || (databaseOf(path) === undefined && name === shared));
    if (own.length === 0 || !isOpen) continue;
    await inDatabase(way, name, signal, async (query) => {
      for (const row of (await query(OWNER, [own])) as readonly Row[])
        found.set(row.path, {
          database: name,
          oid: Number(row.oid),
          relation: row.relation,
          index: row.index,
          kind: row.kind === 'i' ? 'index' : row.kind === 'S' ? 'sequence' : 'table',
          isCatalog: row.catalog,
          isUnlogged: row.unlogged,
          rebuildBytes: Number(row.rebuild_bytes),
          rowsPerPage: row.rows_per_page ?? 0,
        });
    });
  }
  return found;
}

/** A file of a relation, with what is known of that one beside its path. */
export interface RememberedRelation {
  readonly path: string;
  readonly database?: string | undefined;
  readonly oid?: number | undefined;
}

/**
 * Paths of those of these relations of which the server says that they are no more: the database answers and does not know them, or is dropped
 * itself. What a database that does not answer holds is not known, so it is not among them.
 */
export async function droppedRelations(
  way: Way,
  relations: readonly RememberedRelation[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const dropped = new Set<string>();
  const there = relations.length === 0 ? undefined : await databases(way, signal);
  if (there === undefined) return dropped;
  const homeOf = ({ path, database, oid }: RememberedRelation): string | undefined => {
    if (database !== undefined && oid !== undefined) return there.find(({ name }) => name === database)?.name;
    const number = databaseOf(path);
    return number === undefined ? forShared(there) : there.find((one) => one.oid === number)?.name;
  };
  const homes = relations.map((relation) => ({ relation, home: homeOf(relation) }));
  for (const { relation, home } of homes) if (home === undefined) dropped.add(relation.path);
  for (const database of new Set(homes.flatMap(({ home }) => home ?? [])))
    await inDatabase(way, database, signal, async (query) => {
      const here = homes.flatMap(({ relation, home }) => (home === database ? [relation] : []));
      const isKnown = await knownTo(query, here);
      for (const relation of here) if (!isKnown(relation)) dropped.add(relation.path);
    });
  return dropped;
}

async function knownTo(query: Query, relations: readonly RememberedRelation[]): Promise<(relation: RememberedRelation) => boolean> {
  const first = (path: string): string => path.replace(/\.\d+$/, '');
  const rows = (await query(
    'SELECT oid::text, pg_relation_filepath(oid) AS path FROM pg_class WHERE oid = ANY($1::oid[]) OR pg_relation_filepath(oid) = ANY($2)',
    [relations.flatMap(({ oid }) => oid ?? []), relations.map(({ path }) => first(path))],
  )) as readonly { readonly oid: string; readonly path: string | null }[];
  const [oids, paths] = [new Set(rows.map(({ oid }) => Number(oid))), new Set(rows.map(({ path }) => path))];
  return ({ oid, path }) => (oid === undefined ? paths.has(first(path)) : oids.has(oid));
}

const databaseOf = (path: string): string | undefined => /^(?:base|pg_tblspc\/\d+\/[^/]+)\/(\d+)\//.exec(path)?.[1];

interface Listed {
  readonly name: string;
  readonly oid: string;
  readonly isOpen: boolean;
}

/** The database that is asked for what all of them share; every other one would tell the same. */
const forShared = (there: readonly Listed[]): string | undefined =>
  (there.find(({ name, isOpen }) => isOpen && name === 'postgres') ?? there.find(({ isOpen }) => isOpen))?.name;

const LIMITS = { lockTimeoutMs: 2_000, statementTimeoutMs: 60_000 } as const;

/** Every database; undefined where the server does not say. */
async function databases(way: Way, signal: AbortSignal): Promise<readonly Listed[] | undefined> {
  let rows: readonly Listed[] | undefined;
  await inDatabase(way, undefined, signal, async (query) => {
    rows = (await query('SELECT datname AS name, oid::text, datallowconn AS "isOpen" FROM pg_database', [])) as readonly Listed[];
  });
  return rows;
}

type Query = (text: string, values: readonly unknown[]) => Promise<readonly unknown[]>;

/** In any database where none is named. One that does not answer says nothing; what is wrong with it is found elsewhere. */
async function inDatabase(
  { local, socketDir }: Way,
  database: string | undefined,
  signal: AbortSignal,
  work: (query: Query) => Promise<void>,
): Promise<void> {
  try {
    const asked = async (session: Pick<Connection, 'query'>): Promise<void> => work((text, values) => session.query(text, [...values]));
    if (database !== undefined) return await inWatchedSession(local, { database, socketDir }, asked, signal);
    const session = await connectForServer(local, signal, socketDir, LIMITS);
    await asked(session).finally(() => session.end());
  } catch (cause) {
    if (isAbort(cause)) throw cause;
    local.system.log.debug(
      'relations.unknown',
      `${database === undefined ? 'the server' : `database ${database}`} could not be asked what its files are`,
      { why: String(cause) },
    );
  }
}
