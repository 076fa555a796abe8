import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Local } from '../instance/local.ts';
import { wordsOf } from '../kernel/errors.ts';
import { loosenConstraints } from './constraints.ts';
import { ListLost, type Named, nameTheRest } from './database-list.ts';
import { readTable, TABLES, type UserTable, type Wipe } from './read-table.ts';
import type { SalvagedTable } from './report.ts';
import { renewSequences } from './sequences.ts';
import { openPatiently, type PatientSession } from './session.ts';

export interface DatabaseRead {
  readonly name: string;
  readonly tables: readonly TableFound[];
  readonly constraints: readonly string[];
  /** Names of every relation that is not one of these tables, by path: where those are damaged, it must be told too. */
  readonly others: ReadonlyMap<string, string>;
  /** Objects of it that were not read, in words. */
  readonly unread: readonly string[];
}

/** `paths`: its own and its TOAST table's, as the server names them; `wiped`: pages of it that were emptied now; `missing`: that it once had. */
export interface TableFound extends Omit<SalvagedTable, 'pagesLost'> {
  readonly paths: readonly string[];
  readonly wiped: number;
  readonly missing: number;
  readonly pageBytes: number;
  readonly pagesPerSegment: number;
  /** As pg_dump's --exclude-table takes it, where it must leave it out. */
  readonly leaveOut: string | null;
}

interface Reading {
  mend(words: string): Promise<boolean>;
  /** Something had to be assumed: uniqueness may no longer hold anywhere. */
  readonly isDoubtful: boolean;
  /** The copy's. */
  readonly dataDir: string;
}

/** Reads every row of every table, and takes out of the copy what cannot be read, so that pg_dump can read the rest. */
export async function readDatabases(
  local: Local,
  socketDir: string,
  { mend, isDoubtful, dataDir }: Reading,
  signal: AbortSignal,
): Promise<{ databases: DatabaseRead[]; unreachable: { database: string; words: string }[]; wipes: Wipe[] }> {
  const databases: DatabaseRead[] = [];
  const unreachable: { database: string; words: string }[] = [];
  const wipes: Wipe[] = [];
  const { names, templates, unnamed } = await listDatabases(local, { socketDir, mend, dataDir }, signal);
  for (const database of templates) unreachable.push({ database, words: 'it is a template' });
  unreachable.push(...unnamed);
  for (const name of names) {
    signal.throwIfAborted();
    try {
      const session = await openPatiently(local, { database: name, socketDir, mend }, signal);
      try {
        const read = await readTables(session, name, wipes);
        local.system.log.info(
          'salvage.read',
          `${name}: ${read.reduce((sum, { rows }) => sum + rows, 0)} rows of ${read.length} tables can be read`,
        );
        const hasLoss = isDoubtful || read.some(({ rowsLost, because }) => rowsLost > 0 || because !== null) || wipes.length > 0;
        const constraints = [...(await renewSequences(session)), ...(await loosenConstraints(session, { unique: hasLoss }))];
        databases.push({
          name,
          tables: read,
          constraints: constraints.map((words) => `${name}: ${words}`),
          ...(await readOthers(session, dataDir)),
        });
      } finally {
        await session.end();
      }
    } catch (cause) {
      signal.throwIfAborted();
      unreachable.push({ database: name, words: wordsOf(cause) });
    }
  }
  return { databases, unreachable, wipes };
}

interface Listed {
  readonly names: readonly string[];
  /** Somebody's own, which hold what somebody put there. */
  readonly templates: readonly string[];
  /** Folders of which no list tells, and which could not be put into one. */
  readonly unnamed: Named['unnamed'];
}

async function listDatabases(
  local: Local,
  { socketDir, mend, dataDir }: { socketDir: string; mend: Reading['mend']; dataDir: string },
  signal: AbortSignal,
): Promise<Listed> {
  const ask = async (database: string): Promise<Listed> => {
    const session = await openPatiently(local, { database, socketDir, mend }, signal);
    try {
      const rows = await session.query<{ oid: string; name: string; isTemplate: boolean; letsIn: boolean }>(
        'SELECT oid::text AS oid, datname AS name, datistemplate AS "isTemplate", datallowconn AS "letsIn" FROM pg_catalog.pg_database ORDER BY 2',
      );
      const own = rows.filter(({ isTemplate }) => !isTemplate);
      for (const { name } of own.filter(({ letsIn }) => !letsIn)) // This is a copy: what kept people out of the original is no reason here.
        await session.query(`ALTER DATABASE ${session.id(name)} WITH ALLOW_CONNECTIONS true`).catch(wordsOf);
      const known = rows.map(({ oid }) => oid);
      const { named, unnamed } = await nameTheRest(session, dataDir, known);
      return {
        names: [...own.map(({ name }) => name), ...named],
        templates: rows.map(({ name }) => name).filter((name) => !own.some((one) => one.name === name) && !/^template[01]$/.test(name)),
        unnamed,
      };
    } finally {
      await session.end();
    }
  };
  const { username, database: own = username } = local.settings; // Whichever is left knows the others.
  return ask('postgres')
    .catch(() => ask('template1'))
    .catch(() => ask(own))
    .catch((cause: unknown) => {
      signal.throwIfAborted();
      throw new ListLost(
        'data.corrupt',
        `the list of databases cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
        {
          hint: 'the damaged data is as it was, its databases under base; keep it, and restore a backup: `dbkit backup list`',
          cause,
        },
      );
    });
}

const OTHERS = `
  SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind, pg_relation_filepath(c.oid) AS path
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE pg_relation_filepath(c.oid) IS NOT NULL`;

/** Which column of which catalog names a relation: without it pg_dump gives up ("failed sanity check"). */
const REFERENCES = {
  pg_rewrite: 'ev_class',
  pg_trigger: 'tgrelid',
  pg_sequence: 'seqrelid',
  pg_inherits: 'inhrelid',
  pg_index: 'indrelid',
  pg_attrdef: 'adrelid',
  pg_policy: 'polrelid',
  pg_publication_rel: 'prrelid',
  pg_statistic_ext: 'stxrelid',
} as const;

/** Takes out of the copy what belongs to relations that nobody knows any more. Resolves to what that was, in words. */
async function leaveDangling(session: PatientSession): Promise<string[]> {
  const done: string[] = [];
  for (const [catalog, column] of Object.entries(REFERENCES)) {
    const sql = `DELETE FROM pg_catalog.${catalog} d WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = d.${column}) RETURNING 1`;
    const gone = await session.query(sql).catch(() => []);
    if (gone.length > 0)
      done.push(`${gone.length} entries of ${catalog} belong to relations that nobody knows any more, and were left out`);
  }
  return done;
}

/** Reads the catalogs whole, large objects among them, so that the server tells which of their pages are damaged; and looks for files of nobody's. */
async function readOthers(session: PatientSession, dataDir: string): Promise<Pick<DatabaseRead, 'others' | 'unread'>> {
  const relations = await session.query<{ schema: string; name: string; kind: string; path: string }>(OTHERS);
  const unread = await leaveDangling(session);
  for (const { name } of relations.filter(({ schema, kind }) => schema === 'pg_catalog' && kind === 'r')) {
    const words = await session.query(`SELECT count(*) FROM pg_catalog.${session.id(name)}`).then(() => undefined, wordsOf);
    if (words !== undefined) unread.push(`${name} is damaged: ${words}`);
  }
  const [own] = await session.query<{ oid: string }>(
    'SELECT oid::text AS oid FROM pg_catalog.pg_database WHERE datname = current_database()',
  );
  const folder = `base/${own!.oid}`;
  const claimed = new Set(relations.map(({ path }) => path));
  let nobodys = 0;
  for (const name of await readdir(join(dataDir, folder)))
    if (/^\d+$/.test(name) && !claimed.has(`${folder}/${name}`) && (await stat(join(dataDir, folder, name))).size > 0) nobodys += 1;
  if (nobodys > 0) unread.push(`${nobodys} files in ${folder} belong to no table that is known: what they hold was not read`);
  const catalogs = relations.filter(
    ({ schema, kind }) => (schema === 'pg_catalog' && kind === 'r') || (schema === 'pg_toast' && kind === 't'),
  );
  const tables = new Set((await session.query<UserTable>(TABLES)).flatMap(({ paths }) => paths));
  const others = catalogs.filter(({ path }) => !tables.has(path)).map(({ schema, name, path }) => [path, `${schema}.${name}`] as const);
  return { others: new Map(others), unread };
}

async function readTables(session: PatientSession, database: string, wipes: Wipe[]): Promise<DatabaseRead['tables']> {
  const tables = await session.query<UserTable>(TABLES);
  const read: DatabaseRead['tables'][number][] = [];
  for (const table of tables) {
    const { blocks, rows, rowsLost, because, wipe, isUnknown } = await readTable(session, table);
    wipes.push(...wipe);
    read.push({
      database,
      table: `${table.schema}.${table.name}`,
      rows,
      rowsLost,
      because,
      paths: table.paths,
      wiped: wipe.length,
      pageBytes: table.blockSizeBytes,
      pagesPerSegment: table.blocksPerSegment,
      missing: Math.max(0, table.blocksKnown - blocks),
      leaveOut: isUnknown ? `${session.id(table.schema)}.${session.id(table.name)}` : null,
    });
  }
  return read;
}
