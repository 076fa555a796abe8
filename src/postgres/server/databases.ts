import { isAbort } from '../../core/errors.ts';
import { connectSuperuser, type Local } from '../local.ts';

/** A database that does not answer, in the server's words. */
export interface Silence {
  readonly database: string;
  readonly words: string;
}

/** A relation whose file is gone although the catalogs name it. */
export interface MissingRelation {
  readonly database: string;
  readonly relation: string;
  readonly kind: 'table' | 'index';
  readonly path: string;
}

/** Asks the catalogs every database needs for a session: a table, an index scan and a join, cheap even with 20,000 relations. */
const CATALOG_QUESTION = `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam WHERE c.oid < 16384`;

const MISSING_FILES = `
  SELECT c.oid::regclass::text AS relation, c.relkind AS kind, pg_relation_filepath(c.oid) AS path
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
  const ask = async (database: string, all: boolean): Promise<string[]> => {
    try {
      const session = await connectSuperuser(local, database, signal, options.socketDir);
      try {
        await session.query(CATALOG_QUESTION);
        if (options.files) {
          for (const { relation, kind, path } of await session.query<{ relation: string; kind: string; path: string }>(MISSING_FILES)) {
            missing.push({ database, relation, kind: kind === 'i' ? 'index' : 'table', path });
          }
        }
        if (!all) return [];
        const rows = await session.query<{ datname: string }>('SELECT datname FROM pg_database WHERE datallowconn');
        return rows.map(({ datname }) => datname);
      } finally {
        await session.end();
      }
    } catch (cause) {
      if (isAbort(cause)) throw cause;
      silent.push({ database, words: cause instanceof Error ? cause.message : String(cause) });
      return [];
    }
  };
  for (const first of ['postgres', 'template1']) {
    const names = await ask(first, true);
    if (names.length === 0) continue;
    for (const name of names.filter((other) => other !== first)) await ask(name, false);
    return { databases: names.length, silent, missing, lockedOut: undefined };
  }
  const lockedOut = silent.map(({ words }) => words).find((words) => notLetIn.test(words));
  return lockedOut ? { databases: 0, silent: [], missing, lockedOut } : { databases: 0, silent, missing, lockedOut };
}
