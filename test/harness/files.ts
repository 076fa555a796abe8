import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chown, lstat, mkdir, readdir, readFile, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { isRoot, type Person } from './as-user.ts';

const run = promisify(execFile);

/** Copies a tree with owners, modes and times, sharing blocks where the file system can. */
export async function copyTree(from: string, to: string): Promise<void> {
  await run('cp', ['-a', ...(process.platform === 'linux' ? ['--reflink=auto'] : []), from, to]);
}

/** Gives a path to somebody; an ordinary user's files are his already. */
export async function ownedBy(path: string, { uid, gid }: Person): Promise<void> {
  if (isRoot) await chown(path, uid, gid);
}

/** mkdir with an owner, also of the folders above that were missing. */
export async function makeDirectory(path: string, owner: Person, mode = 0o755): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode });
  for (let made = path; first !== undefined && made.length > first.length; made = dirname(made)) await ownedBy(dirname(made), owner);
  await ownedBy(path, owner);
}

export async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

/** Everything below `root` that a careful look could tell has changed, by path; `skip` names entries of the first level. */
export async function treeOf(root: string, skip: readonly string[] = []): Promise<Record<string, string>> {
  const tree: Record<string, string> = {};
  const visit = async (path: string): Promise<void> => {
    const entry = await lstat(join(root, path), { bigint: true });
    const what = entry.isSymbolicLink()
      ? `-> ${await readlink(join(root, path))}`
      : entry.isDirectory()
        ? 'directory'
        : `${entry.size} bytes, ${entry.mtimeNs}`;
    if (path !== '') tree[path] = `${what}, ${(entry.mode & 0o7777n).toString(8)}, ${entry.uid}`;
    if (!entry.isDirectory()) return;
    for (const name of (await readdir(join(root, path))).sort()) {
      if (path !== '' || !skip.includes(name)) await visit(join(path, name));
    }
  };
  await visit('');
  return tree;
}
