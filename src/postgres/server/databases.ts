import { isAbort } from '../../core/errors.ts';
import type { Connection } from '../connection.ts';
import { connectSuperuser, type Local } from '../local.ts';

/** A database that does not answer, in the server's words. */
export interface Silence {
  readonly database: string;
  /** 'base/16384'; undefined while not even the list of databases can be read. */
  readonly path: string | undefined;
  readonly words: string;
}

interface MissingRow {
  readonly relation: string;
  readonly kind: string;
  readonly path: string;
  readonly catalog: boolean;
}

/** A relation whose file is gone although the catalogs name it. */
export interface MissingRelation {
  readonly database: string;
  readonly relation: string;
  readonly kind: 'table' | 'index';
  readonly path: string;
  readonly isCatalog: boolean;
}

/** Asks the catalogs every database needs for a session: a table, an index scan and a join, cheap even with 20,000 relations. */
const CATALOG_QUESTION = `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam WHERE c.oid < 16384`;

const MISSING_FILES = `
  SELECT c.oid::regclass::text AS relation, c.relkind AS kind, pg_relation_filepath(c.oid) AS path, c.oid < 16384 AS catalog
    FROM pg_class c
   WHERE c.relkind IN ('r', 'i', 't', 'm', 'S') AND c.relpersistence <> 't'
     AND (pg_stat_file(pg_relation_filepath(c.oid), true)).size IS NULL`;

/** Refusals that say nothing about the data: the server is up, only dbkit's own login is not let in (SQLSTATE class 28). */
const notLetIn = /password authentication failed|no pg_hba\.conf entry|role ".*" does not exist|peer authentication failed|SCRAM|SASL/i;

export interface DatabaseCheck {
  readonly databases: number;
  readonly silent: readonly Silence[];
  readonly missing: readonly MissingRelation[];
  /** The server answers, but does not let dbkit in to look; undefined otherwise. */
  readonly lockedOut: string | undefined;
}

/** "Accepting connections" is not the end: every database must accept a session and answer from its catalogs. */
export async function checkDatabases(
  local: Local,
  options: { files: boolean; socketDir?: string },
  signal: AbortSignal,
): Promise<DatabaseCheck> {
  const silent: Silence[] = [];
  const missing: MissingRelation[] = [];
  const ask = async ({ name, path }: Database, all: boolean): Promise<Database[]> => {
    try {
      const session = await connectSuperuser(local, name, signal, options.socketDir);
      try {
        await session.query(CATALOG_QUESTION);
        if (options.files) missing.push(...(await missingFiles(session, name)));
        return all
          ? await session.query<Database>("SELECT datname AS name, 'base/' || oid AS path FROM pg_database WHERE datallowconn")
          : [];
      } finally {
        await session.end();
      }
    } catch (cause) {
      if (isAbort(cause)) throw cause;
      silent.push({ database: name, path, words: cause instanceof Error ? cause.message : String(cause) });
      return [];
    }
  };
  for (const first of ['postgres', 'template1']) {
    const databases = await ask({ name: first, path: undefined }, true);
    if (databases.length === 0) continue;
    for (const database of databases.filter(({ name }) => name !== first)) {
      if (!silent.some((silence) => silence.database === database.name)) await ask(database, false);
    }
    // One that is not in the list was dropped by its owner; one that is gets its place in the data directory.
    const listed = silent.flatMap((silence) =>
      databases.filter(({ name }) => name === silence.database).map(({ path }) => ({ ...silence, path })),
    );
    return { databases: databases.length, silent: listed, missing, lockedOut: undefined };
  }
  const lockedOut = silent.map(({ words }) => words).find((words) => notLetIn.test(words));
  return lockedOut ? { databases: 0, silent: [], missing, lockedOut } : { databases: 0, silent, missing, lockedOut };
}

interface Database {
  readonly name: string;
  readonly path: string | undefined;
}

async function missingFiles(session: Connection, database: string): Promise<MissingRelation[]> {
  const rows = await session.query<MissingRow>(MISSING_FILES);
  return rows.map(({ relation, kind, path, catalog }) => ({
    database,
    relation,
    kind: kind === 'i' ? 'index' : 'table',
    path,
    isCatalog: catalog,
  }));
}
