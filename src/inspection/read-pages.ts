import { closeSync, openSync, readSync } from 'node:fs';
import { pageBuffer } from '../formats/page-buffer.ts';
import { findBrokenHeaders } from '../formats/pages.ts';
import { errnoOf, wordsOf } from '../kernel/errors.ts';

/** One file to read. `firstBlock`: the number of its first block within its relation, as segments count on. */
export interface PageTask {
  readonly file: string;
  readonly path: string;
  readonly firstBlock: number;
  readonly blockSizeBytes: number;
  /** False: the cluster has none, and only the pages' headers can be judged. */
  readonly checksums: boolean;
}
export interface PageResult {
  readonly path: string;
  readonly pages: number;
  readonly bytes: number;
  readonly damaged: readonly number[];
  /** Why the file, or the rest of it, could not be read. */
  readonly unreadable?: string | undefined;
}

/**
 * Reads every page of one relation file and verifies its checksum; a file that vanishes meanwhile holds nothing. A disk that answers with an
 * error (EIO) is what this reading is there to find, so it is a result, not a failure.
 */
export function readPages({ file, path, firstBlock, blockSizeBytes, checksums }: PageTask): PageResult {
  const damaged: number[] = [];
  let pages = 0;
  let handle: number;
  try {
    handle = openSync(file, 'r');
  } catch (cause) {
    return { path, pages, bytes: 0, damaged, unreadable: errnoOf(cause) === 'ENOENT' ? undefined : wordsOf(cause) };
  }
  try {
    const { bytes: chunk, findUnsound } = pageBuffer();
    for (;;) {
      const bytesRead = readSync(handle, chunk, 0, chunk.length, pages * blockSizeBytes);
      const whole = Math.floor(bytesRead / blockSizeBytes);
      const rule = { blockSizeBytes, firstBlock, startLsn: undefined };
      if (checksums) damaged.push(...findUnsound(bytesRead, pages, rule).map(({ block }) => block));
      else damaged.push(...findBrokenHeaders(chunk.subarray(0, whole * blockSizeBytes), pages, blockSizeBytes));
      pages += whole;
      if (bytesRead < chunk.length) return { path, pages, bytes: pages * blockSizeBytes, damaged };
    }
  } catch (cause) {
    return { path, pages, bytes: pages * blockSizeBytes, damaged, unreadable: wordsOf(cause) };
  } finally {
    closeSync(handle);
  }
}
