import { readdir } from 'node:fs/promises';
import { type BytePath, bytePath, join, toBytes } from '../formats/byte-path.ts';
import { DbkitError } from '../kernel/errors.ts';

export interface Tree {
  /** Parents before children. */
  readonly directories: readonly BytePath[];
  /** Whatever is no directory. */
  readonly files: readonly BytePath[];
  /** Those of them that are no regular files: links, pipes, devices. */
  readonly irregular: ReadonlySet<BytePath>;
}

/** A data directory with its tablespaces has five levels. */
const DEPTH_MAX = 64;

/** Everything below `root`. Links are not followed. Rejects with `data.corrupt` for folders in folders without end. */
export async function listTree(root: BytePath, signal: AbortSignal): Promise<Tree> {
  const directories: BytePath[] = [];
  const files: BytePath[] = [];
  const irregular = new Set<BytePath>();
  async function enter(directory: BytePath, depth: number): Promise<void> {
    signal.throwIfAborted();
    if (depth > DEPTH_MAX)
      throw new DbkitError('data.corrupt', `the folders of ${root} are nested more deeply than those of any backup`, {
        hint: 'find out who put them there; another backup may be complete',
      });
    for (const entry of await readdir(toBytes(join(root, directory)), { withFileTypes: true, encoding: 'buffer' })) {
      const path = join(directory, bytePath(entry.name));
      if (!entry.isDirectory()) {
        files.push(path);
        if (!entry.isFile()) irregular.add(path);
      } else {
        directories.push(path);
        await enter(path, depth + 1);
      }
    }
  }
  await enter('' as BytePath, 0);
  return { directories, files, irregular };
}
