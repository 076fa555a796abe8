import { chmod, copyFile, lstat, readdir, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { hashFile } from '../backups/regular-file.ts';
import { resetWal } from '../formats/reset-wal.ts';
import type { Finding } from '../inspection/findings.ts';
import { keptBytes, keptPath, readKept } from '../inspection/kept.ts';
import { tablespaceHome } from '../inspection/tablespace-links.ts';
import { isOnlyRead, isPostgresqls } from '../instance/own-names.ts';
import { DbkitError } from '../kernel/errors.ts';
import { readPlain } from '../machine/plain-file.ts';
import { rebuildCatalogIndex } from './catalog-index.ts';
import { closeToOthers } from './close-to-others.ts';
import { goodConfiguration } from './configuration.ts';
import { findingKey } from './plan.ts';
import { putFile } from './put-file.ts';
import type { Mend } from './remedy.ts';
import { replayFromKept } from './replay-kept.ts';
import { type Bench, setAside } from './set-aside.ts';
import { bringWal, keepWalAside, rebuildPrepared, replayFromOlderControl } from './wal-repairs.ts';

type Hand = (bench: Bench, finding: Finding, signal: AbortSignal) => Promise<void>;

/** Every repair by name. Each is idempotent: a kill in the middle is answered by doing it again at the next boot. */
export const repairs: Record<Mend, Hand> = {
  'make-directory': async ({ local }, { path }) =>
    local.system.files.makeDirectory(join(local.volume.dataDir, path), { mode: 0o700, owner: local.owner }),
  'make-empty-file': async (bench, { path }) => {
    await setAside(bench, path); // A folder may stand there.
    await putFile(bench.local, path, '');
  },
  'set-aside-unlogged': setAsideUnlogged,
  'mend-permissions': mendPermissions,
  'restore-configuration': async (bench, { path }) => {
    const { local, control } = bench;
    const body = await goodConfiguration(local, control, path);
    await setAside(bench, path);
    await putFile(local, path, body);
  },
  'rewrite-version-file': async (bench, { path }) => {
    const major = bench.control?.major ?? bench.local.binaries.major;
    const file = path === '.' || path === '' ? 'PG_VERSION' : basename(path) === 'PG_VERSION' ? path : join(path, 'PG_VERSION');
    await setAside(bench, file);
    await putFile(bench.local, file, `${major}\n`);
  },
  'set-aside-file': async (bench, { path }) => setAside(bench, path),
  'relink-tablespace': async (bench, { path }) => {
    const { volume } = bench.local;
    const home = tablespaceHome(volume.dataDir, basename(path));
    if (home === undefined) return; // Then the server says that it is missing.
    await setAside(bench, path); // Where something stands in its place.
    await symlink(home, join(volume.dataDir, path));
  },
  'set-aside-slot': async (bench, { path }) => setAside(bench, path.split('/').slice(0, 2).join('/')),
  'bring-back-kept-file': (bench, { path }) => bringBackKept(bench, path),
  'bring-back-from-backup': bringBackFromBackup,
  'rebuild-catalog-index': rebuildCatalogIndex,
  'reset-wal': rebuildWal,
  'rebuild-prepared-transaction': rebuildPrepared,
  'replay-from-older-control': replayFromOlderControl,
  'replay-from-kept-files': replayFromKept,
  'keep-wal-aside': keepWalAside,
  'bring-wal-from-archive': bringWal,
};

/** All forks and segments of the relation before the folder: a kill in between is answered by doing it again. */
async function setAsideUnlogged(bench: Bench, { path }: Finding): Promise<void> {
  const folder = dirname(path);
  const number = basename(path).replace(/_init$/, '');
  const forks = (await readdir(join(bench.local.volume.dataDir, folder))).filter((name) =>
    new RegExp(`^${number}(_fsm|_vm)?(\\.\\d+)?$`).test(name),
  );
  for (const name of [...forks, basename(path)]) await setAside(bench, join(folder, name));
}

/** A file, or each file of a directory that was lost with all it held. */
async function bringBackKept(bench: Bench, path: string): Promise<void> {
  const { local } = bench;
  const kept = keptPath(local.stateDir, path);
  if ((await lstat(kept)).isDirectory()) {
    await local.system.files.makeDirectory(join(local.volume.dataDir, path), { mode: 0o700, owner: local.owner });
    for (const name of await readdir(kept)) await bringBackKept(bench, join(path, name));
    return;
  }
  const body = await keptBytes(local.stateDir, await readKept(local.stateDir), path);
  if (!body)
    throw new DbkitError('data.corrupt', `the copy that was kept of ${path} is not what was kept`, {
      hint: '`dbkit recover --dry-run` shows what else can be done',
    });
  const there = await readPlain(join(local.volume.dataDir, path)).catch(() => undefined);
  if (there?.equals(body)) return; // It came back with its directory.
  await setAside(bench, path);
  await putFile(local, path, body);
}

/** Owner and mode of everything below PGDATA, changed only where they differ; links are never followed. */
async function mendPermissions({ local }: Bench, _finding: Finding, signal: AbortSignal): Promise<void> {
  const { owner, volume, system } = local;
  if (system.self.uid === 0) {
    system.rights.handOverTree(volume.dataDir, owner, signal, { taken: isTheServers });
    return closeToOthers(volume.dataDir);
  }
  const visit = async (path: string): Promise<void> => {
    signal.throwIfAborted();
    const entry = await lstat(path);
    if (entry.uid !== owner.uid)
      throw new DbkitError('data.owner', `${path} belongs to another user`, {
        hint: `run as root: chown -R ${owner.uid}:${owner.gid} ${volume.dataDir}`,
      });
    if (!entry.isDirectory()) {
      if (entry.isFile() && (entry.mode & 0o600) !== 0o600) await chmod(path, entry.mode | 0o600);
      return;
    }
    if ((entry.mode & 0o700) !== 0o700) await chmod(path, 0o700);
    for (const name of await readdir(path)) {
      if (isTheServers(relative(volume.dataDir, join(path, name)))) await visit(join(path, name));
    }
  };
  await visit(volume.dataDir);
  await closeToOthers(volume.dataDir);
}

/** An entry that is not PostgreSQL's is left as it is, whoever owns it. */
const isTheServers = (path: string): boolean => isPostgresqls(path) || isOnlyRead(path);

/** Each file with the time it had, so that the inventory holds again; what stands in its place is set aside first. */
async function bringBackFromBackup(bench: Bench, finding: Finding, signal: AbortSignal): Promise<void> {
  const { local, backedUp } = bench;
  await setAside(bench, finding.path);
  for (const { path, from, mtimeMs, sha256 } of backedUp.get(findingKey(finding))!) {
    signal.throwIfAborted();
    const target = join(local.volume.dataDir, path);
    await local.system.files.makeDirectory(dirname(target), { mode: 0o700, owner: local.owner });
    await local.system.files.copy(from, target, { mode: 0o600, owner: local.owner, modifiedMs: mtimeMs });
    if (sha256 !== undefined && (await hashFile(Buffer.from(target), signal)).sha256 !== sha256) {
      await rm(target, { force: true });
      throw new DbkitError('lock.held', `${from} was written to while it was copied`, {
        hint: 'a backup is running: try again when it is over',
      });
    }
    local.system.reached('repair.brought-back');
  }
}

/**
 * New WAL for a cluster that was shut down cleanly: what pg_resetwal does. The old segments are set aside first, then the new segment and
 * the control file that names it are written, in this order: until the last rename the old control file stands and the repair is repeated.
 */
async function rebuildWal(bench: Bench): Promise<void> {
  const { local, control } = bench;
  if (!control) throw new DbkitError('data.corrupt', 'new WAL can only be made with an intact pg_control', { hint: 'nothing was changed' });
  const { dataDir } = local.volume;
  const wal = join(dataDir, 'pg_wal');
  await local.system.files.makeDirectory(wal, { mode: 0o700, owner: local.owner });
  await local.system.files.makeDirectory(join(wal, 'archive_status'), { mode: 0o700, owner: local.owner });
  const controlFile = join(dataDir, 'global/pg_control');
  const names = (await readdir(wal)).filter((name) => /^[0-9A-F]{24}$/.test(name));
  const fresh = resetWal(await readPlain(controlFile), names);
  const keepControl = join(bench.asideDir, 'global/pg_control');
  await local.system.files.makeDirectory(dirname(keepControl), { mode: 0o700, owner: local.owner });
  await copyFile(controlFile, keepControl);
  for (const name of names) await setAside(bench, join('pg_wal', name));
  await putFile(local, join('pg_wal', fresh.segmentName), fresh.segment);
  await putFile(local, 'global/pg_control', fresh.control);
}
