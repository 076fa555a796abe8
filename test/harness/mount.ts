import { execFile } from 'node:child_process';
import { rename, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isRoot, serverUser } from './as-user.ts';
import { copyTree, makeDirectory } from './files.ts';
import type { Instance } from './instance.ts';

const run = promisify(execFile);

/** Why volumes cannot be staged here; undefined when they can. */
export const needsMounts = (): string | undefined => (isRoot && process.platform === 'linux' ? undefined : 'only root can mount a volume');

/** Makes PGDATA, or another folder, a volume of its own, a mount point as in a container, with what it held; `options` are mount's (size=, nr_inodes=). */
export async function mountVolume({ dataDir, beforeRemoval }: Instance, options: string, path = dataDir): Promise<void> {
  const aside = `${path}.before`;
  await makeDirectory(path, serverUser, 0o700);
  await rename(path, aside);
  await makeDirectory(path, serverUser, 0o700);
  await run('mount', ['-t', 'tmpfs', '-o', `${options},mode=0700,uid=${serverUser.uid},gid=${serverUser.gid}`, 'dbkit-test', path]);
  beforeRemoval(() => run('umount', ['--lazy', path]).then(() => undefined));
  await copyTree(`${aside}/.`, path);
  await rm(aside, { recursive: true });
}

export async function remount({ dataDir }: Instance, options: 'ro' | 'rw'): Promise<void> {
  await run('mount', ['-o', `remount,${options}`, dataDir]);
}

const filler = (instance: Instance, path = instance.dataDir): string => join(path, 'lost+found');

/** Takes all space that is left on the volume. */
export async function fillSpace(instance: Instance, path = instance.dataDir): Promise<void> {
  await makeDirectory(filler(instance, path), serverUser);
  const { bavail, bsize } = await statfs(path);
  await writeFile(join(filler(instance, path), 'filler'), Buffer.alloc(bavail * bsize - bsize));
}

/** Takes all inodes that are left on the volume. */
export async function fillInodes(instance: Instance): Promise<void> {
  await makeDirectory(filler(instance), serverUser);
  for (let left = (await statfs(instance.dataDir)).ffree; left > 0; left -= 1)
    await writeFile(join(filler(instance), `filler-${left}`), '');
}

/** Gives back what `fillSpace` or `fillInodes` took. */
export const freeVolume = (instance: Instance): Promise<void> => rm(filler(instance), { recursive: true });

/** Makes what is below a directory of a running server's read-only, as the kernel does after a disk's error: files that are open stay writable. */
export async function readOnlyBelow({ dataDir, beforeRemoval }: Instance, name: string): Promise<void> {
  const path = join(dataDir, name);
  await run('mount', ['--bind', path, path]);
  beforeRemoval(() => run('umount', ['--lazy', path]).then(() => undefined));
  await run('mount', ['-o', 'remount,bind,ro', path]);
}
