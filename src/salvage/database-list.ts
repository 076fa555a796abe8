import { copyFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseFilenodeMap } from '../formats/filenode-map.ts';
import type { Local } from '../instance/local.ts';
import { runSingleUser } from '../instance/server/single-user.ts';
import { volumeOf } from '../instance/volume.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import { isThere, namesIn } from '../machine/is-there.ts';
import { readPlain } from '../machine/plain-file.ts';
import type { DamagedCopy } from './copy-damaged.ts';
import type { PatientSession } from './session.ts';

/** pg_database with its two indexes (pg_database.h). */
const CATALOG = [1262, 2671, 2672] as const;
const PG_DEFAULT = '1663'; // pg_tablespace.dat
const INITDB_TIMEOUT_MS = 10 * 60_000;

/** No database that the list names lets anybody in. */
export class ListLost extends DbkitError {}

/**
 * Where no database that the copy's list names lets anybody in, it gets the list of a new cluster; the databases that only their folders tell of are added on
 * that server (`nameTheRest`). Call it with the copy shut down. Resolves to what that means, in words.
 */
export async function standInForList(local: Local, { dataDir, own }: DamagedCopy, path: string, signal: AbortSignal): Promise<string> {
  const map = parseFilenodeMap(await readPlain(join(dataDir, 'global/pg_filenode.map')).catch(() => Buffer.alloc(0)));
  const fileOf = (oid: number, folder: string, files?: ReadonlyMap<number, number>): string =>
    join(folder, 'global', String(files?.get(oid) ?? oid));
  const files = 'files' in map ? map.files : undefined;
  const made = join(path, 'new-list');
  await makeCluster(local, made, signal);
  for (const oid of CATALOG) {
    const to = fileOf(oid, dataDir, files);
    for (const fork of ['_fsm', '_vm', '.1']) await rm(`${to}${fork}`, { force: true });
    await copyFile(fileOf(oid, made), to);
    await own(to);
  }
  await rm(made, { recursive: true });
  return 'the list of databases is lost: each was read by its folder, and its name, owner, locale and settings are made up';
}

/** Its rows are frozen: the copy's transaction status knows nothing of the transactions that made them. */
async function makeCluster(local: Local, directory: string, signal: AbortSignal): Promise<void> {
  const { binaries, owner, settings, system } = local;
  await system.files.makeDirectory(directory, { mode: 0o700, owner });
  const wanted = [`--username=${settings.superuser}`, `--encoding=${settings.encoding}`, '--locale=C', '--data-checksums', '--no-sync'];
  const args = [`--pgdata=${directory}`, ...wanted, '--auth=trust'];
  const env = { ...system.childEnvironment };
  await system.runner.run({ file: join(binaries.directory, 'initdb'), args, env, as: owner, timeoutMs: INITDB_TIMEOUT_MS }, signal);
  await runSingleUser(
    { ...local, volume: { ...volumeOf(directory), dataDir: directory } },
    'template1',
    ['VACUUM (FREEZE) pg_database'],
    signal,
  );
}

/** A database that no list names, by its folder. */
interface Unnamed {
  readonly oid: string;
  readonly folder: string;
  /** Of its default tablespace; undefined for pg_default. */
  readonly tablespace: string | undefined;
}

/** Folders that are not in the list and hold the files of a database. */
async function unnamedDatabases(dataDir: string, known: readonly string[]): Promise<readonly Unnamed[]> {
  const found: Unnamed[] = [];
  const look = async (home: string, tablespace?: string): Promise<void> => {
    for (const oid of await readdir(join(dataDir, home))) {
      const isNew = /^[1-9]\d*$/.test(oid) && !known.includes(oid) && !found.some((one) => one.oid === oid);
      if (isNew && (await isThere(join(dataDir, home, oid, 'PG_VERSION')))) found.push({ oid, folder: join(home, oid), tablespace });
    }
  };
  await look('base');
  for (const tablespace of await namesIn(join(dataDir, 'pg_tblspc')))
    for (const version of await namesIn(join(dataDir, 'pg_tblspc', tablespace)))
      if (version.startsWith('PG_')) await look(join('pg_tblspc', tablespace, version), tablespace);
  return found;
}

export interface Named {
  readonly named: readonly string[];
  readonly unnamed: readonly { readonly database: string; readonly words: string }[];
}

/** Puts databases that only their folders tell of into the copy's list, with the properties of the one that let us in and made-up names. `known`: the numbers that are in it. */
export async function nameTheRest(session: PatientSession, dataDir: string, known: readonly string[]): Promise<Named> {
  const rest = await unnamedDatabases(dataDir, known);
  const [named, unnamed]: [string[], Named['unnamed'][number][]] = [[], []];
  if (rest.length === 0) return { named, unnamed };
  await session.query('SET allow_system_table_mods = on');
  await session.query('REINDEX TABLE pg_catalog.pg_database').catch(() => undefined); // Its indexes may name what is gone. Where they cannot be built the rows say so.
  const columns = await session.query<{ name: string }>(COLUMNS);
  for (const { oid, folder, tablespace } of rest) {
    const name = `salvaged_${oid}`;
    const made: Readonly<Record<string, string>> = {
      oid,
      datname: session.literal(name),
      datistemplate: 'false',
      datallowconn: 'true',
      datconnlimit: '-1',
      dattablespace: tablespace ?? PG_DEFAULT,
    };
    const [list, values] = [
      columns.map((column) => session.id(column.name)),
      columns.map((column) => made[column.name] ?? session.id(column.name)),
    ];
    await session
      .query(
        `INSERT INTO pg_catalog.pg_database (${list.join(', ')}) SELECT ${values.join(', ')} FROM pg_catalog.pg_database WHERE datname = current_database()`,
      )
      .then(
        () => named.push(name),
        (cause: unknown) =>
          unnamed.push({ database: folder, words: `no list names it, and it could not be put into one: ${wordsOf(cause)}` }),
      );
  }
  return { named, unnamed };
}

const COLUMNS = `SELECT attname AS name FROM pg_catalog.pg_attribute
  WHERE attrelid = 'pg_catalog.pg_database'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`;
