import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DbkitError, errnoOf } from '../kernel/errors.ts';
import { namesIn } from '../machine/is-there.ts';
import { openPlain, readPlain } from '../machine/plain-file.ts';

/** PostgreSQL writes a line for each timeline; dbkit's own record is shorter still. */
export const HISTORY_BYTES_MAX = 16 * 1024 * 1024;

/** Reads a file of an archive, which somebody else may have written. Rejects with `wal.damaged` for what is no regular file or larger than it may be, else as open(2) does. */
export async function readKept(path: string, sizeMaxBytes: number, signal?: AbortSignal): Promise<Buffer> {
  try {
    return await readPlain(path, { sizeMaxBytes, signal });
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === 'ENOTDIR') throw noFolder(dirname(path), cause);
    if (code !== 'EISDIR' && code !== 'EFBIG' && code !== 'ENXIO') throw cause;
    throw noSuchFile(path, cause);
  }
}

/** The length of such a file, in bytes. Rejects as `readKept` does. */
export async function lengthOfKept(path: string, sizeMaxBytes: number): Promise<number> {
  const stats = await stat(path);
  if (!stats.isFile() || stats.size > sizeMaxBytes) throw noSuchFile(path);
  return stats.size;
}

/** A piece of such a file, shorter where the file is; `into`: a buffer that is large enough. */
export async function readPiece(path: string, from: number, to: number, into: Buffer = Buffer.allocUnsafe(to - from)): Promise<Buffer> {
  const file = await openPlain(path);
  try {
    const bytes = into.subarray(0, to - from);
    let done = 0;
    for (let read = -1; read !== 0 && done < bytes.length; done += read)
      read = (await file.read(bytes, done, bytes.length - done, from + done)).bytesRead;
    return bytes.subarray(0, done);
  } finally {
    await file.close();
  }
}

/** The names in a folder of an archive, none where it is not there. Rejects with `wal.damaged` for what is no folder. */
export async function namesOfKept(folder: string): Promise<readonly string[]> {
  try {
    return await namesIn(folder);
  } catch (cause) {
    throw errnoOf(cause) === 'ENOTDIR' ? noFolder(folder, cause) : cause;
  }
}

/** A part of an archive that is provably not what was kept there. What a disk does not give is thrown on. */
export function asDamage(thrown: unknown): DbkitError {
  if (!(thrown instanceof DbkitError) || thrown.code !== 'wal.damaged') throw thrown;
  return thrown;
}

const noFolder = (path: string, cause: unknown): DbkitError =>
  new DbkitError('wal.damaged', `${path} is no folder`, { hint: 'find out who put it there, and move it away', cause });

const noSuchFile = (path: string, cause?: unknown): DbkitError =>
  new DbkitError('wal.damaged', `${path} is no regular file of a size that it could have`, {
    hint: 'find out who put it there, and move it away',
    cause,
  });
