import { chmod, cp, lchown, lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { System } from '../kernel/machine.ts';

/** Owner, mode and time stay; a copy that a kill cut off is made again, as its source is there until all of it is. */
export async function copyAll(from: string, to: string, system: System): Promise<void> {
  const entry = await lstat(from);
  if (!entry.isDirectory()) {
    await rm(to, { recursive: true, force: true });
    if (!entry.isFile()) return cp(from, to, { verbatimSymlinks: true });
    const owner = { uid: entry.uid, gid: entry.gid, name: '', home: '' };
    return system.files.copy(from, to, { mode: entry.mode & 0o7777, owner, modifiedMs: entry.mtimeMs });
  }
  await mkdir(to, { recursive: true });
  await chmod(to, entry.mode & 0o7777);
  if (system.rights.isRoot()) await lchown(to, entry.uid, entry.gid);
  for (const name of await readdir(from)) await copyAll(join(from, name), join(to, name), system);
}
