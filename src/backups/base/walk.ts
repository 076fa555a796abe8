import type { BigIntStats } from 'node:fs';
import { constants, lstatSync } from 'node:fs';
import { lstat, open, readdir, readlink, realpath } from 'node:fs/promises';
import { type BytePath, bytePath, fromText, join, nameOf, toBytes, toText } from '../../formats/byte-path.ts';
import { isPostgresqls } from '../../instance/own-names.ts';
import { DbkitError, errnoOf, isDenied, unlessMissing } from '../../kernel/errors.ts';
import { emptiedDirectories, isDatabaseDirectory, isExcluded, relationFilter } from './exclusions.ts';
import type { FileStamp } from './sharing.ts';

export interface SourceFile extends FileStamp {
  /** Its place in the backup. */
  readonly path: BytePath;
  /** Where it is read from; absolute. Differs from `path` only below a tablespace's link. */
  readonly from: BytePath;
}

export interface SourceTree {
  /** Parents before children. */
  readonly directories: readonly BytePath[];
  readonly files: readonly SourceFile[];
  /** Tablespaces that are links; their files are under pg_tblspc/<oid>/ in `files`. */
  readonly tablespaces: readonly { readonly oid: string; readonly location: BytePath }[];
  /** Entries that were left out although it may matter to somebody: not PostgreSQL's, and it may not be read or leads nowhere. Sockets are not told. */
  readonly skipped: readonly BytePath[];
}

export const stampOf = (stats: BigIntStats): FileStamp => ({
  sizeBytes: Number(stats.size),
  mtimeNs: stats.mtimeNs,
  ctimeNs: stats.ctimeNs,
  inode: stats.ino,
});

/**
 * Lists what a base backup of `dataDir` consists of, as PostgreSQL's basebackup.c does: some directories emptied, some files left out, and
 * pg_control not listed, because it is copied after everything else. Links are followed, as the server follows them (basebackup.c leaves out
 * what is behind them, without a word); one that leads nowhere fails the backup. `versionDirectory` is the
 * tablespaces' own ('PG_15_202209061'): others may belong to another major version.
 */
export async function walkDataDirectory(dataDir: string, versionDirectory: string, signal: AbortSignal): Promise<SourceTree> {
  const root = bytePath(await realpath(dataDir, { encoding: 'buffer' }));
  const directories: BytePath[] = [];
  const files: SourceFile[] = [];
  const skipped: BytePath[] = [];
  const tablespaces = await readTablespaces(root);
  const major = Number(/^PG_(\d+)_/.exec(versionDirectory)?.[1]);
  const walDirectories = ['pg_wal/archive_status', ...(major >= 17 ? ['pg_wal/summaries'] : [])].map(fromText);
  // A tablespace located inside PGDATA is copied once, under its link.
  const elsewhere = new Set(tablespaces.map(({ location }) => location as string));

  async function enter(directory: BytePath, from: BytePath): Promise<void> {
    signal.throwIfAborted();
    const names = (
      await readdir(toBytes(from), { encoding: 'buffer' }).catch((thrown: unknown) => {
        if (!isDenied(thrown) || isPostgresqls(toText(directory))) return unlessMissing(thrown);
        skipped.push(directory);
      })
    )?.map(bytePath);
    if (names === undefined) return;
    if (directory !== '') directories.push(directory);
    const leaveOut = isDatabaseDirectory(directory) ? relationFilter(names) : () => false;
    const wanted = names.filter((name) => !isExcluded(directory, name) && !leaveOut(name)).sort();
    for (const name of wanted) {
      const stats = statsOf(join(from, name));
      if (stats) await visit(join(directory, name), join(from, name), stats);
    }
  }

  async function visit(path: BytePath, from: BytePath, stats: BigIntStats): Promise<void> {
    if (path === 'pg_wal') directories.push(path, ...walDirectories);
    else if (emptiedDirectories.has(path)) directories.push(path);
    else if (stats.isFile() && !isPostgresqls(toText(path)) && !(await isReadable(from))) skipped.push(path);
    else if (stats.isFile()) files.push({ path, from, ...stampOf(stats) });
    else if (stats.isDirectory() && !elsewhere.has(from)) await enter(path, from);
    else if (stats.isSymbolicLink() && isTablespace(path)) await enterTablespace(path);
    else if (stats.isSymbolicLink()) await follow(path, from);
  }

  /** A directory that is behind a link of the server's own belongs to the cluster; what somebody else has linked is followed where it leads to a file. */
  async function follow(path: BytePath, from: BytePath): Promise<void> {
    const target = await realpath(toBytes(from), { encoding: 'buffer' }).then(bytePath, unlessMissing);
    const stats = target && (await lstat(toBytes(target), { bigint: true }).catch(unlessMissing));
    const own = isPostgresqls(toText(path));
    const goesRound = target !== undefined && `${from}/`.startsWith(`${target}/`);
    if (stats?.isFile() || (own && stats?.isDirectory() && !goesRound)) await visit(path, target!, stats);
    else if (!own) skipped.push(path);
    else if (await lstat(toBytes(from)).catch(unlessMissing))
      throw new DbkitError(
        'data.corrupt',
        `${toText(path)} is a link that leads ${stats ? 'to no file or folder of its own' : 'nowhere'}`,
        {
          hint: 'mount its target, or remove the link if it is not needed; no backup was taken without it',
        },
      );
  }

  async function enterTablespace(path: BytePath): Promise<void> {
    const tablespace = tablespaces.find(({ oid }) => oid === nameOf(path));
    if (!tablespace) return; // Made after the list was read, so after the backup began: its WAL makes it again.
    directories.push(path);
    await enter(join(path, fromText(versionDirectory)), join(tablespace.location, fromText(versionDirectory)));
  }

  await enter('' as BytePath, root);
  return { directories, files, tablespaces, skipped };
}

/** Synchronously: for a hundred thousand files the promises take longer than the kernel, and several times the memory. */
function statsOf(path: BytePath): BigIntStats | undefined {
  try {
    return lstatSync(toBytes(path), { bigint: true });
  } catch (thrown) {
    return unlessMissing(thrown);
  }
}

/** By opening it: access(2) would answer for root where root's dbkit acts as the server's user. */
async function isReadable(path: BytePath): Promise<boolean> {
  try {
    const file = await open(toBytes(path), constants.O_RDONLY | constants.O_NONBLOCK);
    await file.close();
    return true;
  } catch {
    return false;
  }
}

const isTablespace = (path: BytePath): boolean => /^pg_tblspc\/\d+$/.test(path);

async function readTablespaces(root: BytePath): Promise<{ oid: string; location: BytePath }[]> {
  const folder = join(root, fromText('pg_tblspc'));
  const oids = (await readdir(toBytes(folder)).catch(unlessMissing))?.filter((name) => /^\d+$/.test(name)) ?? [];
  const found = await Promise.all(oids.map(async (oid) => ({ oid, location: await locationOf(join(folder, fromText(oid))) })));
  return found.flatMap(({ oid, location }) => (location === undefined ? [] : [{ oid, location }]));
}

/** Where a tablespace's link leads; undefined for an in-place tablespace, which is a plain directory, and for one just dropped. */
async function locationOf(link: BytePath): Promise<BytePath | undefined> {
  try {
    await readlink(toBytes(link));
    return bytePath(await realpath(toBytes(link), { encoding: 'buffer' }));
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT' || errnoOf(thrown) === 'EINVAL') return undefined;
    throw new Error(`cannot follow ${toText(link)}`, { cause: thrown });
  }
}
