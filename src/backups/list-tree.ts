import { readdir } from 'node:fs/promises';
import { type BytePath, bytePath, join, toBytes } from '../formats/byte-path.ts';

/** Everything below `root`: directories, parents before children, and whatever is not a directory. Links are not followed. */
export async function listTree(
  root: BytePath,
  signal: AbortSignal,
): Promise<{ directories: readonly BytePath[]; files: readonly BytePath[] }> {
  const directories: BytePath[] = [];
  const files: BytePath[] = [];
  async function enter(directory: BytePath): Promise<void> {
    signal.throwIfAborted();
    for (const entry of await readdir(toBytes(join(root, directory)), { withFileTypes: true, encoding: 'buffer' })) {
      const path = join(directory, bytePath(entry.name));
      if (!entry.isDirectory()) files.push(path);
      else {
        directories.push(path);
        await enter(path);
      }
    }
  }
  await enter('' as BytePath);
  return { directories, files };
}
