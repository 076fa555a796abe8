import { chmod, chown, mkdir, open } from 'node:fs/promises';
import { type BytePath, join, toBytes } from '../formats/byte-path.ts';
import { errnoOf } from '../kernel/errors.ts';
import type { Identity } from '../kernel/machine.ts';

/** Makes the directories, parents first, below `root`, which is made too, or taken over when it is there and empty. */
export async function makeTree(
  root: BytePath,
  directories: readonly BytePath[],
  { mode, owner }: { mode: number; owner: Identity | undefined },
): Promise<void> {
  for (const directory of ['' as BytePath, ...directories]) {
    const path = toBytes(join(root, directory));
    await mkdir(path, { mode }).catch((thrown: unknown) => {
      if (directory !== '' || errnoOf(thrown) !== 'EEXIST') throw thrown;
    });
    await chmod(path, mode); // mkdir's mode is cut down by the umask, and the server refuses anything but 0700 and 0750.
    if (owner) await chown(path, owner.uid, owner.gid);
  }
}

/** fsyncs every directory below `root`, children before parents, then `root`: a file's name is durable only with its directory. */
export async function syncTree(root: BytePath, directories: readonly BytePath[]): Promise<void> {
  for (const directory of [...directories].reverse()) await sync(join(root, directory));
  await sync(root);
}

async function sync(path: BytePath): Promise<void> {
  const handle = await open(toBytes(path), 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a whole tree durable, file by file. */
export async function syncFiles(root: BytePath, files: readonly BytePath[]): Promise<void> {
  for (const file of files) await sync(join(root, file));
}

/** Writes a small file of ours durably. `path` must not exist. */
export async function writeNew(
  path: BytePath,
  body: Uint8Array | string,
  { mode, owner }: { mode: number; owner: Identity | undefined },
): Promise<void> {
  const handle = await open(toBytes(path), 'wx', mode);
  try {
    if (owner) await handle.chown(owner.uid, owner.gid);
    await handle.writeFile(body);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
