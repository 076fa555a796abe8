import { DbkitError, errnoOf } from '../kernel/errors.ts';
import { readPlain } from '../machine/plain-file.ts';

/** PostgreSQL writes a line for each timeline; dbkit's own record is shorter still. */
export const HISTORY_BYTES_MAX = 16 * 1024 * 1024;

/** Reads a file of an archive, which somebody else may have written. Rejects with `wal.damaged` for what is no regular file or larger than it may be, else as open(2) does. */
export async function readKept(path: string, sizeMaxBytes: number, signal?: AbortSignal): Promise<Buffer> {
  try {
    return await readPlain(path, { sizeMaxBytes, signal });
  } catch (cause) {
    const code = errnoOf(cause);
    if (code !== 'EISDIR' && code !== 'EFBIG' && code !== 'ENXIO') throw cause;
    throw new DbkitError('wal.damaged', `${path} is no regular file of a size that it could have`, {
      hint: 'find out who put it there, and move it away',
      cause,
    });
  }
}
