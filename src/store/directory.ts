import { randomBytes } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { link, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { within } from '../kernel/deadline.ts';
import { DbkitError, errnoOf, wordsOf } from '../kernel/errors.ts';
import type { Clock } from '../kernel/machine.ts';
import { byKey, OBJECT_BYTES_MAX, otherBytes, requireKey, requireSize, type Store, type StoredObject, tooLarge } from './store.ts';

/** Work in progress, on the same file system. */
const INCOMING = '.incoming';
/** Nothing takes that long: its writer is gone. */
const LEFTOVER_MS = 24 * 3_600_000;
/** A mount whose other end is gone answers nobody. */
const TIMEOUT_MS = 120_000;

interface DirectoryNeeds {
  readonly path: string;
  readonly clock: Pick<Clock, 'now'>;
}

/**
 * Objects as files below a folder, which must be there: the folder of a mount that is not mounted would be made on the disk that the copy shall
 * be safe from. The caller has seen to whom it acts as (machine/privileges.ts).
 */
export function openDirectoryStore({ path: root, clock }: DirectoryNeeds): Store {
  const pathOf = (key: string): string => {
    requireKey(key);
    return join(root, key);
  };
  const asked = <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> =>
    within([signal], TIMEOUT_MS, work).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw explain(root, cause);
    });
  let isSwept = false;

  return {
    place: root,
    put: (key, body, signal) =>
      asked(signal, async () => {
        const path = pathOf(key);
        requireSize(key, body);
        await requireRoot(root);
        await requireFolders(root, key);
        const before = await readObject(path);
        if (before !== undefined) return same(before, body, root, key);
        await requireFolders(root, `${INCOMING}/`);
        if (!isSwept) await sweep(join(root, INCOMING), clock.now().getTime() - LEFTOVER_MS);
        isSwept = true;
        return write(root, path, body).then(async (outcome) => {
          if (outcome === 'stored') return outcome;
          return same((await readObject(path)) ?? Buffer.alloc(0), body, root, key);
        });
      }),
    get: (key, signal) =>
      asked(signal, async () => {
        await requireRoot(root);
        await requireFolders(root, key);
        return readObject(pathOf(key));
      }),
    stat: (key, signal) =>
      asked(signal, async () => {
        await requireRoot(root);
        await requireFolders(root, key);
        const found = await lstat(pathOf(key)).catch(missing);
        return found?.isFile() ? { key, sizeBytes: found.size } : undefined;
      }),
    list: (prefix, signal) =>
      asked(signal, async () => {
        await requireRoot(root);
        const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
        await requireFolders(root, folder);
        return (await below(root, folder)).filter(({ key }) => key.startsWith(prefix)).sort(byKey);
      }),
    remove: (key, signal) =>
      asked(signal, async () => {
        await requireRoot(root);
        await requireFolders(root, key);
        await rm(pathOf(key), { force: true });
      }),
  };
}

async function requireRoot(root: string): Promise<void> {
  if ((await stat(root).catch(missing))?.isDirectory()) return;
  throw new DbkitError('store.unavailable', `${root} is not there`, { hint: 'mount it, or make the folder' });
}

/**
 * Whoever may write there could put a link where a folder was: names of this archive's own WAL would then be removed behind it, and what has lain in
 * another folder for a day. So each folder on the way to a key is one, or is not there yet.
 */
async function requireFolders(root: string, key: string): Promise<void> {
  const names = key.split('/').slice(0, -1);
  for (const at of names.keys()) {
    const path = join(root, ...names.slice(0, at + 1));
    const found = await lstat(path).catch(missing);
    if (found === undefined) return;
    if (!found.isDirectory())
      throw new DbkitError('data.corrupt', `${path} is no folder${found.isSymbolicLink() ? ', but a link' : ''}`, {
        hint: 'find out who put it there, and remove it; nothing was changed behind it',
      });
  }
}

function same(before: Buffer, body: Uint8Array, root: string, key: string): 'there' {
  if (before.equals(body)) return 'there';
  throw otherBytes(root, key);
}

/** A link takes its name only where nobody has it, so of two writers one wins; file systems without links get a rename. */
async function write(root: string, path: string, body: Uint8Array): Promise<'stored' | 'taken'> {
  await mkdir(join(root, INCOMING), { recursive: true, mode: 0o700 });
  await makeFolders(root, dirname(path));
  const aside = join(root, INCOMING, randomBytes(8).toString('hex'));
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
    await syncFolder(dirname(path));
    return outcome;
  } finally {
    await rm(aside, { force: true });
  }
}

async function makeFolders(root: string, folder: string): Promise<void> {
  if ((await mkdir(folder, { recursive: true, mode: 0o700 })) === undefined) return;
  for (let made = folder; made.length >= root.length; made = dirname(made)) await syncFolder(made);
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } catch (cause) {
    if (errnoOf(cause) !== 'EINVAL') throw cause; // Some network file systems have no fsync for folders.
  } finally {
    await handle.close();
  }
}

/** No link is followed, and no pipe is waited for. */
async function readObject(path: string): Promise<Buffer | undefined> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(missing);
  if (handle === undefined) return undefined;
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new DbkitError('data.corrupt', `${path} is not a regular file`);
    if (stats.size > OBJECT_BYTES_MAX) throw tooLarge(path);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

async function below(root: string, folder: string): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  const entries: Dirent[] = (await readdir(join(root, folder), { withFileTypes: true }).catch(missing)) ?? [];
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue;
    const key = `${folder}${entry.name}`;
    if (entry.isDirectory()) found.push(...(await below(root, `${key}/`)));
    if (!entry.isFile()) continue;
    const there = await lstat(join(root, key)).catch(missing);
    if (there !== undefined) found.push({ key, sizeBytes: there.size });
  }
  return found;
}

async function sweep(incoming: string, beforeMs: number): Promise<void> {
  for (const name of (await readdir(incoming).catch(missing)) ?? []) {
    const found = await lstat(join(incoming, name)).catch(missing);
    if (found !== undefined && found.mtimeMs < beforeMs) await rm(join(incoming, name), { force: true });
  }
}

function missing(cause: unknown): undefined {
  if (errnoOf(cause) === 'ENOENT' || errnoOf(cause) === 'ENOTDIR') return undefined;
  throw cause;
}

function explain(root: string, cause: unknown): unknown {
  if (cause instanceof DbkitError || cause instanceof RangeError) return cause;
  const words = `${root}: ${wordsOf(cause)}`;
  const code = errnoOf(cause);
  if (code === 'ENOSPC' || code === 'EDQUOT') return new DbkitError('volume.full', words, { hint: 'free some space there', cause });
  if (code === 'EROFS') return new DbkitError('volume.read-only', words, { hint: 'mount it writable', cause });
  if (code === 'EACCES' || code === 'EPERM')
    return new DbkitError('store.denied', words, { hint: 'give the folder to the user of the server, with chown', cause });
  return new DbkitError('store.unavailable', words, { hint: 'check the mount, then try again', cause });
}
