import { basename } from 'node:path';
import { mappedRelation } from '../formats/system-indexes.ts';
import type { Finding } from '../inspection/findings.ts';
import type { Local } from '../instance/local.ts';
import { askSingleUser, runSingleUser } from '../instance/server/single-user.ts';
import { DbkitError } from '../kernel/errors.ts';
import { type Bench, setAside } from './set-aside.ts';

/**
 * Builds a damaged index of a system catalog anew from its table, in single-user mode, which does not read system indexes. The damaged file
 * is set aside first. When the index cannot be named (another catalog than the mapped ones), all indexes of that database's catalogs are built.
 * Where the finding's path is the folder of its database, the server has named the index, and single-user mode knows its file.
 */
export async function rebuildCatalogIndex(bench: Bench, { path, relation: named }: Finding, signal: AbortSignal): Promise<void> {
  const { local } = bench;
  const [isFolder, inDatabase] = [/^base\/\d+$/.test(path), /^(?:base|pg_tblspc\/\d+\/[^/]+)\/(\d+)(?:\/|$)/.exec(path)?.[1]];
  const database = inDatabase === undefined ? await anyDatabase(local, signal) : await databaseNamed(local, inDatabase, signal);
  const relation = await mappedRelation(local.volume.dataDir, path);
  const index = relation?.kind === 'index' ? relation : undefined;
  const file = isFolder ? await fileOf(local, database, named?.name ?? '', signal) : path;
  if (file !== undefined) await setAside(bench, file);
  const statement = index ? `REINDEX TABLE pg_catalog.${index.table}` : `REINDEX SYSTEM "${database.replaceAll('"', '""')}"`;
  await runSingleUser(local, database, [statement], signal);
  local.system.log.info('index.rebuilt', `rebuilt ${index ? `${index.name} from ${index.table}` : `the catalog indexes of ${database}`}`, {
    file: basename(file ?? path),
  });
}

/** The file of an index of a catalog, of a toast table of one too: 'base/5/2687'. Undefined where no index has that name. */
async function fileOf(local: Local, database: string, index: string, signal: AbortSignal): Promise<string | undefined> {
  const ofCatalogs = `relkind = 'i' AND relnamespace IN (11, 99) AND oid < 16384`; // pg_catalog and pg_toast; what no user made (FirstNormalObjectId)
  if (!/^pg_\w+$/.test(index)) return undefined;
  const question = `SELECT pg_relation_filepath(oid)::text AS file FROM pg_catalog.pg_class WHERE relname = '${index}' AND ${ofCatalogs}`;
  return (await askSingleUser(local, database, question, signal))[0];
}

/** A database that single-user mode can enter: template1 is there even when postgres was dropped. */
async function anyDatabase(local: Local, signal: AbortSignal): Promise<string> {
  for (const name of ['postgres', 'template1']) {
    if ((await askSingleUser(local, name, 'SELECT 1 AS one', signal).catch(() => [])).length > 0) return name;
  }
  throw new DbkitError('data.corrupt', 'neither postgres nor template1 can be entered in single-user mode', {
    hint: '`dbkit recover --dry-run` shows what else can be done',
  });
}

async function databaseNamed(local: Local, oid: string, signal: AbortSignal): Promise<string> {
  const known = await askSingleUser(local, 'template1', `SELECT datname FROM pg_database WHERE oid = ${oid}`, signal).catch(() =>
    askSingleUser(local, 'postgres', `SELECT datname FROM pg_database WHERE oid = ${oid}`, signal),
  );
  if (known[0] === undefined)
    throw new DbkitError('data.corrupt', `no database has the oid ${oid}`, {
      hint: '`dbkit recover --dry-run` shows what else can be done',
    });
  return known[0];
}
