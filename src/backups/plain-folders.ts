import { lstatSync } from 'node:fs';
import { type BytePath, join, parentOf, toBytes } from '../formats/byte-path.ts';

/**
 * Says of paths in a backup that every folder on the way is a folder of its own, its root too: whoever wrote the backup may have put a link there,
 * and what is linked, renamed or removed behind it is somebody else's file, the running server's even. What is not there leads nowhere.
 */
export function plainFolders(root: BytePath): (path: BytePath) => boolean {
  const known = new Map<string, boolean>();
  const isPlain = (folder: BytePath): boolean => {
    const before = known.get(folder);
    if (before !== undefined) return before;
    const entry = lstatSync(toBytes(join(root, folder)), { throwIfNoEntry: false });
    const plain = (entry === undefined || entry.isDirectory()) && (folder === '' || isPlain(parentOf(folder)));
    known.set(folder, plain);
    return plain;
  };
  return (path) => isPlain(parentOf(path));
}
