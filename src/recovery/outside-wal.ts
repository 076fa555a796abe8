import { lchown, lstat, mkdir, readdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { clusterEntries, present } from '../instance/volume.ts';
import { errnoOf } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { copyAll } from './copy-all.ts';

/** WAL that leads out of PGDATA, or is a volume of its own, is gathered in a folder of this name where it is. */
const folderOf = (quarantine: string): string => `.dbkit-${basename(quarantine)}`;
const isFolder = (name: string): boolean => name.startsWith('.dbkit-');

/** A pg_wal that is a link leads out of PGDATA: its files are gathered in a folder there and the quarantined link follows them. */
export async function gatherLinkedWal(quarantine: string, system: System): Promise<void> {
  const link = join(quarantine, 'pg_wal');
  if (!(await lstat(link).catch(() => undefined))?.isSymbolicLink()) return;
  const target = resolve(quarantine, await readlink(link));
  if (isFolder(basename(target)) || !(await present(target))) return; // Done by the run that was killed, or dangling.
  const kept = await gather(target, quarantine, system);
  await rm(link);
  await symlink(kept, link);
}

/** A pg_wal that is a mount point cannot be renamed: what it holds is gathered in a folder there, and a link stands for it. */
export async function gatherMountedWal(wal: string, quarantine: string, system: System): Promise<void> {
  const kept = await gather(wal, quarantine, system);
  if (!(await present(join(quarantine, 'pg_wal')))) await symlink(kept, join(quarantine, 'pg_wal'));
}

async function gather(wal: string, quarantine: string, system: System): Promise<string> {
  const kept = join(wal, folderOf(quarantine));
  await mkdir(kept, { recursive: true, mode: 0o700 });
  const { uid, gid } = await lstat(wal);
  if (system.rights.isRoot()) await lchown(kept, uid, gid);
  for (const name of await clusterEntries(wal)) if (!isFolder(name)) await rename(join(wal, name), join(kept, name));
  await system.files.syncDirectory(kept);
  return kept;
}

/** The content of a new cluster's pg_wal moves onto the volume that is mounted there: by a copy where it lies on another one. */
export async function spreadMountedWal(from: string, wal: string, system: System): Promise<void> {
  const isLink = (await lstat(from)).isSymbolicLink(); // Of data that is brought back: its WAL has been on this very volume.
  const source = isLink ? resolve(dirname(from), await readlink(from)) : from;
  for (const name of await readdir(source)) {
    await rename(join(source, name), join(wal, name)).catch(async (cause: unknown) => {
      if (errnoOf(cause) !== 'EXDEV') throw cause;
      await copyAll(join(source, name), join(wal, name), system);
    });
  }
  await system.files.syncDirectory(wal);
  if (isLink) await rm(source, { recursive: true, force: true });
}

/** The way back: what was gathered is spread again, and the link is as it was. */
export async function putBackWal(link: string, dataDir: string, system: System): Promise<void> {
  const kept = resolve(dirname(link), await readlink(link));
  const home = dirname(kept);
  const mounted = home === join(dataDir, 'pg_wal');
  if (isFolder(basename(kept)) && (await present(kept))) {
    for (const name of await readdir(kept)) await rename(join(kept, name), join(home, name));
    await system.files.syncDirectory(home);
    await rm(kept, { recursive: true });
  }
  if (!mounted && !(await present(join(dataDir, 'pg_wal')))) await symlink(isFolder(basename(kept)) ? home : kept, join(dataDir, 'pg_wal'));
  await rm(link);
}
