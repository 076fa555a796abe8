import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { DbkitError, errnoOf, unlessMissing } from '../kernel/errors.ts';

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY;

/** A folder that is open: whatever takes its name meanwhile, what is done below its path is done in this one. */
export interface OpenFolder {
  /** For calls of the system. Where there are no descriptors below /proc it is its name. */
  readonly path: string;
  /** Its entries are durable. */
  sync(): Promise<void>;
}

/**
 * Opens the folder that `names` lead to below `root`, each below the descriptor of the one above it and through no link, and works in it; undefined
 * where one is missing, unless `make` gives the mode of those to make. `root` may be a link: whoever named it meant that. Rejects with `data.corrupt`
 * where something else stands in the way. What `work` rejects with bears the names of files.
 */
export async function inFolder<T>(
  root: string,
  names: readonly string[],
  { make }: { readonly make?: number },
  work: (folder: OpenFolder) => Promise<T>,
): Promise<T | undefined> {
  let [handle, name] = [await open(root, FOLDER), root];
  try {
    for (const next of names) {
      const below = await openBelow(handle, name, next, make);
      if (below === undefined) return undefined;
      await handle.close();
      [handle, name] = [below, join(name, next)];
    }
    return await work({ path: pathOf(handle, name), sync: () => sync(handle) });
  } catch (cause) {
    const path = pathOf(handle, name);
    if (cause instanceof Error && cause.message.includes(path)) cause.message = cause.message.replaceAll(path, name);
    throw cause;
  } finally {
    await handle.close();
  }
}

const pathOf = ({ fd }: FileHandle, name: string): string => (process.platform === 'linux' ? `/proc/self/fd/${fd}` : name);

async function openBelow(handle: FileHandle, name: string, next: string, make: number | undefined): Promise<FileHandle | undefined> {
  const inside = join(pathOf(handle, name), next);
  const openIt = (): Promise<FileHandle> =>
    open(inside, FOLDER | constants.O_NOFOLLOW).catch((cause: unknown) => {
      throw ['ENOTDIR', 'ELOOP'].includes(errnoOf(cause) ?? '') ? noFolder(join(name, next), cause) : cause;
    });
  const there = await openIt().catch(unlessMissing);
  if (there !== undefined || make === undefined) return there;
  await mkdir(inside, { mode: make }).catch((cause: unknown) => {
    if (errnoOf(cause) !== 'EEXIST') throw cause; // Somebody else has made it.
  });
  await sync(handle);
  return openIt();
}

const noFolder = (path: string, cause: unknown): DbkitError =>
  new DbkitError('data.corrupt', `${path} is no folder, but a link or a file`, {
    hint: 'find out who put it there, and remove it; nothing was changed behind it',
    cause,
  });

async function sync(handle: FileHandle): Promise<void> {
  await handle.sync().catch((cause: unknown) => {
    if (errnoOf(cause) !== 'EINVAL') throw cause; // Some network file systems have no fsync for folders.
  });
}
