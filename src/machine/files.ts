import { randomBytes } from 'node:crypto';
import { appendFile, closeSync } from 'node:fs';
import { chmod, chown, constants, copyFile, lstat, mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { DbkitError, errnoOf, isDenied, unlessMissing, wordsOf } from '../kernel/errors.ts';
import type { Files, Logger, Owner } from '../kernel/machine.ts';
import { clock } from './clock.ts';
import { handOver, makeAsRoot, openToAppend } from './hand-over.ts';
import { readPlainText } from './plain-file.ts';
import { actingAs } from './privileges.ts';

const isRoot = (): boolean => process.getuid?.() === 0;

/** Small files that survive a power cut (SQLite's and restic's order: write aside, fsync, rename, fsync the directory). */
export const createFiles = (log: Logger): Files => ({
  write: (...given) => madeAsOurs(() => writeDurably(...given)),
  publish: (...given) => madeAsOurs(() => publish(...given)),
  copy: copyDurably,
  rename: renameDurably,
  makeDirectory,
  ownDirectory,
  syncDirectory,
  firstWritable,
  append: appendLine,
  readJson: (path, parse) => readJson(log, path, parse),
});

/**
 * While the caller's rights are taken for a moment (privileges.ts) the threads that work for Node have them too: a file that is made just then is
 * root's, and may not be changed any more. It is made again.
 */
async function madeAsOurs<T>(make: () => Promise<T>): Promise<T> {
  for (let left = 3; ; left -= 1) {
    try {
      return await make();
    } catch (cause) {
      if (left === 0 || actingAs() === undefined || errnoOf(cause) !== 'EPERM') throw cause;
    }
  }
}

async function writeDurably(
  path: string,
  body: string | Uint8Array,
  { mode = 0o644, owner }: { mode?: number; owner?: Owner | undefined } = {},
): Promise<void> {
  const aside = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  const handle = await open(aside, 'wx', mode);
  try {
    await handle.writeFile(body);
    await handle.chmod(mode);
    if (owner && isRoot()) await handle.chown(owner.uid, owner.gid);
    await handle.sync();
    await handle.close();
    await rename(aside, path);
  } catch (cause) {
    await handle.close().catch(() => undefined);
    await rm(aside, { force: true });
    throw cause;
  }
  await syncDirectory(dirname(path));
}

async function publish(path: string, body: string): Promise<void> {
  const aside = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await writeFile(aside, body, { mode: 0o644, flag: 'wx' });
    await chmod(aside, 0o644);
    await rename(aside, path);
  } catch (cause) {
    await rm(aside, { force: true }); // A full disk would gather them.
    throw cause;
  }
}

async function copyDurably(from: string, to: string, { mode, owner, modifiedMs }: Parameters<Files['copy']>[2]): Promise<void> {
  const aside = `${to}.dbkit-copy`; // One name: what a killed copy left is written over by the next.
  await copyFile(from, aside, constants.COPYFILE_FICLONE);
  const handle = await open(aside, 'r+');
  try {
    await handle.chmod(mode);
    if (owner && isRoot()) await handle.chown(owner.uid, owner.gid);
    await handle.utimes(modifiedMs / 1000, modifiedMs / 1000);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(aside, to);
  await syncDirectory(dirname(to));
}

async function renameDurably(from: string, to: string): Promise<void> {
  if ((await lstat(to).catch(unlessMissing)) !== undefined)
    throw new DbkitError('file.exists', `${to} exists already`, { hint: 'move it away and try again' });
  await rename(from, to);
  await syncDirectory(dirname(to));
  if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from));
}

async function makeDirectory(path: string, { mode = 0o755, owner }: { mode?: number; owner?: Owner | undefined } = {}): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode }).catch(async (thrown: unknown) => {
    const cause = await trueReason(path, thrown);
    const whose = owner ?? actingAs();
    if (!isDenied(cause) || whose === undefined || !makeAsRoot(path, mode, whose)) throw cause;
    return undefined; // Made, and handed over.
  });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await adopt(made, mode, owner);
  await syncDirectory(dirname(first));
}

/** Where the file system is read-only a recursive mkdir of Node's says ENOENT; the first folder that is missing, asked for by itself, says why. */
async function trueReason(path: string, thrown: unknown): Promise<unknown> {
  if (errnoOf(thrown) !== 'ENOENT') return thrown;
  let missing = path;
  while (missing !== dirname(missing) && (await lstat(dirname(missing)).catch(unlessMissing)) === undefined) missing = dirname(missing);
  return mkdir(missing).then(
    () => thrown,
    (cause: unknown) => cause,
  );
}

async function ownDirectory(path: string, options?: { mode?: number; owner?: Owner | undefined }): Promise<void> {
  await makeDirectory(path, options);
  const whose = actingAs();
  if (whose !== undefined && (await stat(path)).uid === 0) handOver(path, options?.owner ?? whose, isOwn);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

const firstWritable: Files['firstWritable'] = (paths, { mode }) =>
  paths.find((path) => {
    try {
      closeSync(openToAppend(path, mode));
      return true;
    } catch {
      return false;
    }
  });

async function appendLine(path: string, text: string, { mode }: { mode: number }): Promise<void> {
  const fd = openToAppend(path, mode);
  try {
    await promisify(appendFile)(fd, text);
  } finally {
    closeSync(fd);
  }
}

/** A list of every file of a large cluster takes some dozen MiB. */
const JSON_BYTES_MAX = 256 * 1024 * 1024;

async function readJson<T>(log: Logger, path: string, parse: (value: unknown) => T): Promise<T | undefined> {
  const text = await readPlainText(path, { sizeMaxBytes: JSON_BYTES_MAX }).catch((cause: unknown) => {
    if (errnoOf(cause) === 'ENOENT') return undefined;
    if (errnoOf(cause) === 'EISDIR' || errnoOf(cause) === 'EFBIG') return ''; // No JSON of dbkit's either.
    throw cause;
  });
  if (text === undefined) return undefined;
  try {
    return parse(JSON.parse(text));
  } catch (cause) {
    const broken = `${path}.broken-${clock.now().toISOString().replace(/[-:.]/g, '')}`;
    const kept = await rename(path, broken).then(
      () => `was set aside as ${broken}`,
      (thrown: unknown) => `cannot be set aside either (${wordsOf(thrown)})`, // Whoever only looks may not write here.
    );
    log.warn('file.broken', `${path} cannot be read and ${kept}`, { path, why: wordsOf(cause) });
    return undefined;
  }
}

/** The names of dbkit in folders of its own: labels of backups with their records, and hidden names. */
const isOwn = (names: readonly string[]): boolean =>
  names.every((name) => /^(\.|(data|dump|corrupt|replaced)_\d{8}_\d{6}|wal$|quarantine$|lost\+found$|programs$)/.test(name));

/** mkdir's mode is cut by the umask; the owner is only root's to give. */
async function adopt(path: string, mode: number, owner: Owner | undefined): Promise<void> {
  await chmod(path, mode);
  if (owner && isRoot()) await chown(path, owner.uid, owner.gid);
}
