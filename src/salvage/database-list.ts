import { copyFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { namedRow, rowsOf } from '../formats/catalog-rows.ts';
import { parseFilenodeMap } from '../formats/filenode-map.ts';
import { pageBuffer } from '../formats/page-buffer.ts';
import { findBrokenHeaders, isZero } from '../formats/pages.ts';
import type { Local } from '../instance/local.ts';
import { runSingleUser } from '../instance/server/single-user.ts';
import { volumeOf } from '../instance/volume.ts';
import { wordsOf } from '../kernel/errors.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { isThere, namesIn } from '../machine/is-there.ts';
import { readPlain } from '../machine/plain-file.ts';
import type { DamagedCopy } from './copy-damaged.ts';
import type { PatientSession } from './session.ts';

/** pg_database with its two indexes (pg_database.h). */
const CATALOG = [1262, 2671, 2672] as const;
const TEMPLATE1 = 1;
const PAGE_BYTES = 8192;
const INITDB_TIMEOUT_MS = 10 * 60_000;

/**
 * Where not even template1 is in the copy's list of databases any more, it gets the list of a new cluster, by which the server lets somebody in; the databases
 * that only their folders tell of are added on that server (`nameTheRest`). Resolves to what that means, in words; null where the list was there.
 */
export async function standInForList(
  local: Local,
  { dataDir, own }: DamagedCopy,
  path: string,
  signal: AbortSignal,
): Promise<string | null> {
  const map = parseFilenodeMap(await readPlain(join(dataDir, 'global/pg_filenode.map')).catch(() => Buffer.alloc(0)));
  const fileOf = (oid: number, folder: string, files?: ReadonlyMap<number, number>): string =>
    join(folder, 'global', String(files?.get(oid) ?? oid));
  const files = 'files' in map ? map.files : undefined;
  if (await listsTemplate1(fileOf(CATALOG[0], dataDir, files))) return null;
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

async function listsTemplate1(file: string): Promise<boolean> {
  const bytes = await readPlain(file).catch(unlessOwnTrouble);
  if (bytes === undefined) return false;
  const { bytes: buffer, findUnsound } = pageBuffer();
  for (let at = 0; at + PAGE_BYTES <= bytes.length; at += PAGE_BYTES) {
    const page = bytes.subarray(at, at + PAGE_BYTES);
    if (isZero(page) || findBrokenHeaders(page, 0, PAGE_BYTES).length > 0) continue;
    page.copy(buffer);
    const rule = { blockSizeBytes: PAGE_BYTES, firstBlock: at / PAGE_BYTES, startLsn: undefined };
    const isSummed = page.readUInt16LE(8) !== 0; // pd_checksum
    if (isSummed && findUnsound(PAGE_BYTES, 0, rule).length > 0) continue;
    if (rowsOf(page).some(({ data }) => namedRow(data).oid === TEMPLATE1)) return true;
  }
  return false;
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

/** Puts databases that only their folders tell of into the copy's list, with template1's properties and made-up names. `known`: the numbers that are in it. */
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
      ...(tablespace === undefined ? {} : { dattablespace: tablespace }),
    };
    const [list, values] = [
      columns.map((column) => session.id(column.name)),
      columns.map((column) => made[column.name] ?? session.id(column.name)),
    ];
    await session
      .query(
        `INSERT INTO pg_catalog.pg_database (${list.join(', ')}) SELECT ${values.join(', ')} FROM pg_catalog.pg_database WHERE oid = ${TEMPLATE1}`,
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
