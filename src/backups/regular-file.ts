import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { DbkitError, errnoOf } from '../kernel/errors.ts';

/**
 * Of a pipe or a device O_NONBLOCK waits for nobody, and O_NOFOLLOW ends at a link: a backup may be somebody else's work, and holds only
 * regular files (open(2)).
 */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

/** Of a directory that a server serves, whose owner may have put links where files were. */
export interface Following {
  readonly follow?: boolean;
}
const flagsOf = ({ follow = false }: Following): number => (follow ? FLAGS & ~constants.O_NOFOLLOW : FLAGS);

const noFile = (path: string | Buffer, cause?: unknown): DbkitError =>
  new DbkitError('data.corrupt', `${path} is not a regular file`, {
    hint: 'a backup holds only regular files: find out who put this there; another backup may be complete',
    cause,
  });

/** Opens a file of a backup for reading. Rejects with `data.corrupt` for links, pipes, devices and directories, else as open(2) does. */
export async function openRegular(path: string | Buffer, following: Following = {}): Promise<FileHandle> {
  const file = await open(path, flagsOf(following)).catch((cause: unknown) => {
    throw isOther(cause) ? noFile(path, cause) : cause;
  });
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw noFile(path);
}

/** The same, on a thread that may wait. */
export function openRegularSync(path: string | Buffer, following: Following = {}): number {
  let handle: number;
  try {
    handle = openSync(path, flagsOf(following));
  } catch (cause) {
    throw isOther(cause) ? noFile(path, cause) : cause;
  }
  if (fstatSync(handle).isFile()) return handle;
  closeSync(handle);
  throw noFile(path);
}

/** ELOOP: a link. ENXIO: a socket, or a device that is not there. */
const isOther = (cause: unknown): boolean => ['ELOOP', 'ENXIO', 'ENODEV'].includes(errnoOf(cause) ?? '');

/** Reads a small file whole: at most `sizeMaxBytes`, whatever it has become meanwhile. Rejects with `data.corrupt` when it is larger. */
export async function readRegular(path: string, sizeMaxBytes: number, following: Following = {}): Promise<Buffer> {
  const file = await openRegular(path, following);
  try {
    const { size } = await file.stat();
    if (size > sizeMaxBytes)
      throw new DbkitError('data.corrupt', `${path} has ${size} bytes, more than such a file ever has`, {
        hint: 'find out who put this there; another backup may be complete',
      });
    return await file.readFile();
  } finally {
    await file.close();
  }
}

const CHUNK_BYTES = 1024 * 1024;

/** SHA-256 and size of a file, read once. */
export async function hashFile(path: Buffer, signal: AbortSignal): Promise<{ sizeBytes: number; sha256: string }> {
  const file = await openRegular(path);
  try {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let position = 0; ; ) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
      if (bytesRead === 0) return { sizeBytes: position, sha256: hash.digest('hex') };
      hash.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
  } finally {
    await file.close();
  }
}
