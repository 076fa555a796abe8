import { closeSync, constants, fstatSync, openSync, readFileSync, readSync, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { errnoOf, unlessMissing } from '../kernel/errors.ts';

/** Of a pipe that nobody writes to, open(2) waits without end unless it is told not to; of a device, read(2) may give bytes without end. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** As of a directory, which is no file either: what stands in its place is judged in one way. */
const noFile = (path: string): Error => Object.assign(new Error(`EISDIR: ${path} is no regular file`), { code: 'EISDIR' });

/** No file that is read whole is larger than a segment of WAL; one that somebody else has made may have holes, and any size. */
const SIZE_MAX_BYTES = 1024 ** 3;

const tooLarge = (path: string): Error => Object.assign(new Error(`EFBIG: ${path} is too large`), { code: 'EFBIG' });

/**
 * Reads a small file whole, from a folder where others may have put something else in its place. Rejects as open(2) does, with EISDIR for what is no
 * file, and with EFBIG for one that is larger than `sizeMaxBytes`.
 */
export async function readPlain(
  path: string,
  { sizeMaxBytes = SIZE_MAX_BYTES, signal }: { readonly sizeMaxBytes?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<Buffer> {
  const file = await openPlain(path);
  try {
    if ((await file.stat()).size > sizeMaxBytes) throw tooLarge(path);
    return await file.readFile(signal === undefined ? {} : { signal });
  } finally {
    await file.close();
  }
}

/** Opens a file to read pieces of it. Rejects as `readPlain` does for what is no file. */
export async function openPlain(path: string | Buffer): Promise<FileHandle> {
  const file = await open(path, FLAGS);
  try {
    if (!(await file.stat()).isFile()) throw noFile(String(path));
    return file;
  } catch (cause) {
    await file.close();
    throw cause;
  }
}

/** The same at once. */
export function openPlainSync(path: string): number {
  const fd = openSync(path, FLAGS);
  try {
    if (!fstatSync(fd).isFile()) throw noFile(path);
    return fd;
  } catch (cause) {
    closeSync(fd);
    throw cause;
  }
}

/** `readPlain` at once. */
export function readPlainSync(path: string): Buffer {
  const fd = openPlainSync(path);
  try {
    if (fstatSync(fd).size > SIZE_MAX_BYTES) throw tooLarge(path);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Its text. */
export const readPlainText = async (path: string, options: Parameters<typeof readPlain>[1] = {}): Promise<string> =>
  (await readPlain(path, options)).toString();

/** For `.catch` behind a read: undefined where there is nothing, or a folder, a pipe or a device in the place of the file. */
export const unlessNoFile = (cause: unknown): undefined => (errnoOf(cause) === 'EISDIR' ? undefined : unlessMissing(cause));

const PIPED_MAX_BYTES = 64 * 1024 ** 2;
const CHUNK_BYTES = 64 * 1024;

/**
 * Reads what a person or a trusted configuration names. That may be a pipe of his own, such as a shell's `<(pass show key)`, or /dev/null. A pipe of
 * somebody else's, put where a secret was, would be waited for with root's rights: EISDIR.
 */
export function readNamedSync(path: string): Buffer {
  const fd = openSync(path, FLAGS);
  try {
    const stats = fstatSync(fd);
    if (stats.isFile()) {
      if (stats.size > SIZE_MAX_BYTES) throw tooLarge(path);
      return readFileSync(fd);
    }
    if (!isOwn(stats) && !/^\/(dev\/stdin|dev\/fd\/\d+|proc\/self\/fd\/\d+)$/.test(path)) throw noFile(path);
    return readPiped(path, fd);
  } finally {
    closeSync(fd);
  }
}

const isOwn = ({ uid }: Stats): boolean => [0, process.getuid?.()].includes(uid);

/** Opened again by its descriptor, which nobody can replace, to wait for whoever writes. */
function readPiped(path: string, fd: number): Buffer {
  const waiting = openSync(`/dev/fd/${fd}`, constants.O_RDONLY);
  try {
    const chunks: Buffer[] = [];
    for (let size = 0; ; ) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const length = readSync(waiting, chunk);
      if (length === 0) return Buffer.concat(chunks);
      size += length;
      if (size > PIPED_MAX_BYTES) throw tooLarge(path);
      chunks.push(chunk.subarray(0, length));
    }
  } finally {
    closeSync(waiting);
  }
}
