import { DbkitError, isAbort } from '../../kernel/errors.ts';
import type { Connection } from '../connection.ts';
import { connectSuperuser, type Local } from '../local.ts';

/** A database that does not answer, in the server's words. */
export interface Silence {
  readonly database: string;
  /** 'base/16384'; undefined while not even the list of databases can be read. */
  readonly path: string | undefined;
  readonly words: string;
}

interface FileRow {
  readonly relation: string;
  readonly kind: string;
  readonly path: string;
  readonly catalog: boolean;
  readonly pages: number;
  readonly missing: boolean;
  readonly blocks: number;
}

/** A relation whose file is gone although the catalogs name it, or holds fewer blocks than at its last VACUUM or ANALYZE. */
export interface LostRelation {
  readonly database: string;
  readonly relation: string;
  readonly kind: 'table' | 'index';
  readonly path: string;
  readonly isCatalog: boolean;
  /** Undefined when the file is gone. */
  readonly shrunk: { readonly fromBlocks: number; readonly toBlocks: number } | undefined;
  /** Its file was gone, and crash recovery made another one of what the WAL holds. */
  readonly madeAnew: boolean;
}

/** Asks the catalogs every database needs for a session: a table, an index scan and a join, cheap even with 20,000 relations. */
const CATALOG_QUESTION = `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam WHERE c.oid < 16384`;

/**
 * Files that the catalogs name and that are gone, and logged tables of the user's that have fewer blocks than pg_class.relpages, which VACUUM and
 * ANALYZE write and a truncation resets: a file cut short beside a crash, or while the server ran, is found by nothing else, as a server reads it
 * to its end. Unlogged ones have no file before the end of a recovery (reinit.c). One listing of the database's directory spares twenty thousand
 * relations a stat each; what is not in it is asked for by its own path, as it may lie in a tablespace, or just have been written anew.
 */
const LOST_FILES = `
  SELECT oid::regclass::text AS relation, kind, pg_relation_filepath(oid) AS path, catalog, pages, size IS NULL AS missing,
         size / current_setting('block_size')::int AS blocks
    FROM (SELECT c.oid, c.relkind AS kind, c.oid < 16384 AS catalog, c.relpages AS pages, there.name IS NOT NULL AS listed,
                 c.relkind IN ('r', 'm', 't') AND c.relpersistence <> 'u' AND c.oid >= 16384 AND c.relpages > 0 AS counted
            FROM pg_class c
            LEFT JOIN pg_ls_dir(regexp_replace(pg_relation_filepath('pg_class'), '/[^/]*$', '')) AS there(name)
              ON there.name = pg_relation_filenode(c.oid)::text AND c.reltablespace = 0
           WHERE c.relkind IN ('r', 'i', 't', 'm', 'S') AND c.relpersistence <> 't'
             AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
          OFFSET 0) AS files
   CROSS JOIN LATERAL (SELECT CASE WHEN (pg_stat_file(pg_relation_filepath(oid), true)).size IS NOT NULL THEN pg_relation_size(oid) END) AS now(size)
   WHERE (counted OR NOT listed) AND pg_relation_filepath(oid) IS NOT NULL
     AND (size IS NULL OR counted AND size / current_setting('block_size')::int < pages)`;

/** Those of `madeAnew` that are this database's. */
const MADE_ANEW = `
  SELECT oid::regclass::text AS relation, relkind AS kind, pg_relation_filepath(oid) AS path, oid < 16384 AS catalog, relpages AS pages,
         true AS missing, 0 AS blocks
    FROM pg_class
   WHERE relkind IN ('r', 'i', 't', 'm', 'S') AND pg_relation_filepath(oid) = ANY ($1)`;

/** The first session of a database builds its relation cache, which keeps a processor busy for some ten milliseconds. */
const AT_ONCE = 4;

/** Refusals that say nothing about the data: the server is up, only dbkit's own login is not let in (SQLSTATE class 28). */
const notLetIn = /password authentication failed|no pg_hba\.conf entry|role ".*" does not exist|peer authentication failed|SCRAM|SASL/i;

export interface DatabaseCheck {
  readonly databases: number;
  readonly silent: readonly Silence[];
  readonly lost: readonly LostRelation[];
  /** The server answers, but does not let dbkit in to look; undefined otherwise. */
  readonly lockedOut: string | undefined;
}

/** "Accepting connections" is not the end: every database must accept a session and answer from its catalogs. */
export async function checkDatabases(
  local: Local,
  options: { socketDir?: string; madeAnew?: readonly string[] },
  signal: AbortSignal,
): Promise<DatabaseCheck> {
  const silent: Silence[] = [];
  const lost: LostRelation[] = [];
  const ask = async ({ name, path }: Database, all: boolean): Promise<Database[]> => {
    try {
      const session = await connectSuperuser(local, name, signal, options.socketDir);
      try {
        await session.query(CATALOG_QUESTION);
        lost.push(...(await lostFiles(session, name, options.madeAnew ?? [])));
        return all
          ? await session.query<Database>("SELECT datname AS name, 'base/' || oid AS path FROM pg_database WHERE datallowconn")
          : [];
      } finally {
        await session.end();
      }
    } catch (cause) {
      if (isAbort(cause) || !(cause instanceof DbkitError)) throw cause; // dbkit's own fault is never the database's.
      silent.push({ database: name, path, words: cause instanceof Error ? cause.message : String(cause) });
      return [];
    }
  };
  for (const first of ['postgres', 'template1']) {
    const databases = await ask({ name: first, path: undefined }, true);
    if (databases.length === 0) continue;
    const others = databases.filter(({ name }) => name !== first && !silent.some(({ database }) => database === name));
    for (let from = 0; from < others.length; from += AT_ONCE)
      await Promise.all(others.slice(from, from + AT_ONCE).map((database) => ask(database, false)));
    // One that is not in the list was dropped by its owner; one that is gets its place in the data directory.
    const listed = silent.flatMap((silence) =>
      databases.filter(({ name }) => name === silence.database).map(({ path }) => ({ ...silence, path })),
    );
    return { databases: databases.length, silent: listed, lost, lockedOut: undefined };
  }
  const lockedOut = silent.map(({ words }) => words).find((words) => notLetIn.test(words));
  return lockedOut ? { databases: 0, silent: [], lost, lockedOut } : { databases: 0, silent, lost, lockedOut };
}

interface Database {
  readonly name: string;
  readonly path: string | undefined;
}

async function lostFiles(session: Connection, database: string, anew: readonly string[]): Promise<LostRelation[]> {
  const rows = await session.query<FileRow>(LOST_FILES);
  const remade = anew.length > 0 ? await session.query<FileRow>(MADE_ANEW, [anew]) : [];
  return [...rows.filter(({ path }) => !anew.includes(path)), ...remade].map(
    ({ relation, kind, path, catalog, pages, missing, blocks }) => ({
      database,
      relation,
      kind: kind === 'i' ? 'index' : 'table',
      path,
      isCatalog: catalog,
      shrunk: missing ? undefined : { fromBlocks: pages, toBlocks: Number(blocks) },
      madeAnew: anew.includes(path),
    }),
  );
}
