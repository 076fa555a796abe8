import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, lstat, open, opendir, readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { within } from '../kernel/deadline.ts';
import { DbkitError, errnoOf, unlessMissing, wordsOf } from '../kernel/errors.ts';
import type { Clock } from '../kernel/machine.ts';
import { inFolder, type OpenFolder } from '../machine/open-folder.ts';
import {
  createListing,
  isKey,
  OBJECT_BYTES_MAX,
  otherBytes,
  requireKey,
  requireSize,
  type Store,
  type StoredObject,
  tooLarge,
} from './store.ts';

/** Work in progress, on the same file system. */
const INCOMING = '.incoming';
/** Nothing takes that long: its writer is gone. */
const LEFTOVER_MS = 24 * 3_600_000;
/** A mount whose other end is gone answers nobody. */
const TIMEOUT_MS = 120_000;
const MAKE = { make: 0o700 };

interface DirectoryNeeds {
  readonly path: string;
  readonly clock: Pick<Clock, 'now'>;
}

/**
 * Objects as files below a folder, which must be there: the folder of a mount that is not mounted would be made on the disk that the copy shall
 * be safe from. The caller has seen to whom it acts as (machine/privileges.ts). Whoever may write there could put a link where a folder was, at any
 * moment: names of this archive's own WAL would then be removed behind it. So each folder is opened before it is used, and none through a link.
 */
export function openDirectoryStore({ path: root, clock }: DirectoryNeeds): Store {
  const asked = <T>(signal: AbortSignal, work: (bounded: AbortSignal) => Promise<T>): Promise<T> =>
    within([signal], TIMEOUT_MS, work).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw explain(root, cause);
    });
  /** The work in the folder of a key, by the key's last part. */
  const atKey = async <T>(
    key: string,
    signal: AbortSignal,
    work: (folder: OpenFolder, name: string) => Promise<T>,
  ): Promise<T | undefined> => {
    requireKey(key);
    const { folders, name } = partsOf(key);
    return asked(signal, () => inFolder(root, folders, {}, (folder) => work(folder, name)));
  };
  let isSwept = false;

  return {
    place: root,
    async put(key, body, signal) {
      requireSize(key, body);
      const before = await atKey(key, signal, (folder, name) => readObject(folder, name, key));
      if (before !== undefined) return same(before, body, root, key);
      const { folders, name } = partsOf(key);
      const outcome = await asked(signal, () =>
        inFolder(root, [INCOMING], MAKE, async (incoming) => {
          if (!isSwept) await sweep(incoming, clock.now().getTime() - LEFTOVER_MS);
          isSwept = true;
          return inFolder(root, folders, MAKE, (folder) => write(incoming, folder, name, body));
        }),
      );
      if (outcome === 'stored') return outcome;
      return same((await atKey(key, signal, (folder) => readObject(folder, name, key))) ?? Buffer.alloc(0), body, root, key);
    },
    get: (key, signal) => atKey(key, signal, (folder, name) => readObject(folder, name, key)),
    stat: (key, signal) =>
      atKey(key, signal, async ({ path }, name) => {
        const found = await lstat(join(path, name)).catch(unlessMissing);
        return found?.isFile() ? { key, sizeBytes: found.size } : undefined;
      }),
    list: (prefix, signal) =>
      asked(signal, async (bounded) => {
        const found = await listBelow(root, prefix.slice(0, prefix.lastIndexOf('/') + 1), bounded);
        return found.filter(({ key }) => key.startsWith(prefix));
      }),
    remove: (key, signal) => atKey(key, signal, ({ path }, name) => unlink(join(path, name)).catch(unlessMissing)),
  };
}

function partsOf(key: string): { readonly folders: readonly string[]; readonly name: string } {
  const parts = key.split('/');
  return { folders: parts.slice(0, -1), name: parts.at(-1)! };
}

function same(before: Buffer, body: Uint8Array, root: string, key: string): 'there' {
  if (before.equals(body)) return 'there';
  throw otherBytes(root, key);
}

/** A link takes its name only where nobody has it, so of two writers one wins; file systems without links get a rename. */
async function write(incoming: OpenFolder, folder: OpenFolder, name: string, body: Uint8Array): Promise<'stored' | 'taken'> {
  const [aside, path] = [join(incoming.path, randomBytes(8).toString('hex')), join(folder.path, name)];
  try {
    const handle = await open(aside, 'wx', 0o600);
    try {
      await handle.writeFile(body);
      await handle.sync();
    } finally {
      await handle.close();
    }
    const outcome = await link(aside, path).then(
      () => 'stored' as const,
      async (cause: unknown) => {
        if (errnoOf(cause) === 'EEXIST') return 'taken' as const;
        if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(errnoOf(cause) ?? '')) throw cause;
        await rename(aside, path);
        return 'stored' as const;
      },
    );
    await folder.sync();
    return outcome;
  } finally {
    await unlink(aside).catch(unlessMissing);
  }
}

/** No link is followed, and no pipe is waited for. */
async function readObject({ path }: OpenFolder, name: string, key: string): Promise<Buffer | undefined> {
  const handle = await open(join(path, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(unlessMissing);
  if (handle === undefined) return undefined;
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new DbkitError('data.corrupt', `${key} is not a regular file`);
    if (stats.size > OBJECT_BYTES_MAX) throw tooLarge(key);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/** Folder for folder, so that one descriptor is enough however deep they are. A link is no object and no folder of objects. */
async function listBelow(root: string, start: string, signal: AbortSignal): Promise<readonly StoredObject[]> {
  const listing = createListing(root);
  const waiting = [start];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const here = folder;
    signal.throwIfAborted();
    await inFolder(root, here.split('/').slice(0, -1), {}, async ({ path }) => {
      for await (const entry of await opendir(path, { bufferSize: 1024 })) {
        const key = `${here}${entry.name}`;
        if (entry.isDirectory() && isKey(key)) waiting.push(`${key}/`);
        if (entry.isDirectory()) listing.page(key);
        const there = entry.isFile() ? await lstat(join(path, entry.name)).catch(unlessMissing) : undefined;
        if (there !== undefined) listing.add(key, there.size);
      }
    }).catch((cause: unknown) => {
      if (here === start || !(cause instanceof DbkitError)) throw cause; // Another was put in its place since its name was read.
    });
  }
  return listing.sorted();
}

async function sweep({ path }: OpenFolder, beforeMs: number): Promise<void> {
  for (const name of await readdir(path)) {
    const found = await lstat(join(path, name)).catch(unlessMissing);
    if (found !== undefined && !found.isDirectory() && found.mtimeMs < beforeMs) await unlink(join(path, name)).catch(unlessMissing);
  }
}

function explain(root: string, cause: unknown): unknown {
  if (cause instanceof DbkitError) return cause;
  if ((cause as NodeJS.ErrnoException).path === root && ['ENOENT', 'ENOTDIR'].includes(errnoOf(cause) ?? ''))
    return new DbkitError('store.unavailable', `${root} is not there`, { hint: 'mount it, or make the folder', cause });
  const words = `${root}: ${wordsOf(cause)}`;
  const code = errnoOf(cause);
  if (code === 'ENOSPC' || code === 'EDQUOT') return new DbkitError('volume.full', words, { hint: 'free some space there', cause });
  if (code === 'EROFS') return new DbkitError('volume.read-only', words, { hint: 'mount it writable', cause });
  if (code === 'EACCES' || code === 'EPERM')
    return new DbkitError('store.denied', words, { hint: 'give the folder to the user of the server, with chown', cause });
  return new DbkitError('store.unavailable', words, { hint: 'check the mount, then try again', cause });
}
