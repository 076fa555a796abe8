import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { errnoOf } from '../../core/errors.ts';
import { type BytePath, join, toBytes } from '../formats/byte-path.ts';
import { pageChecksum } from '../formats/page-checksum.ts';
import { findUnsoundPages, type SuspectPage } from '../formats/pages.ts';

/** One file of a backup to read again; `pages` where its page checksums are to be verified on the way. */
export interface RereadTask {
  readonly root: BytePath;
  readonly path: BytePath;
  /** What it should be: only for dealing the files out. */
  readonly sizeBytes: number;
  readonly pages: { readonly blockSizeBytes: number; readonly firstBlock: number } | undefined;
}

export interface Reread {
  readonly path: BytePath;
  readonly found:
    | { readonly sizeBytes: number; readonly sha256: string; readonly unsound: readonly SuspectPage[] }
    | 'missing'
    | 'unreadable';
}

const CHUNK_BYTES = 1024 * 1024;

/** Reads one file to its end, synchronously: it runs on a thread of its own. Throws what is neither absence nor a read error. */
export function reread({ root, path, pages }: RereadTask): Reread {
  let handle: number | undefined;
  try {
    handle = openSync(toBytes(join(root, path)), 'r');
    const hash = createHash('sha256');
    const unsound: SuspectPage[] = [];
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    let sizeBytes = 0;
    for (;;) {
      const bytesRead = fill(handle, chunk, sizeBytes);
      const read = chunk.subarray(0, bytesRead);
      hash.update(read);
      if (pages) unsound.push(...findUnsoundPages(read, sizeBytes / pages.blockSizeBytes, { ...pages, startLsn: undefined }, pageChecksum));
      sizeBytes += bytesRead;
      if (bytesRead < chunk.length) return { path, found: { sizeBytes, sha256: hash.digest('hex'), unsound } };
    }
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return { path, found: 'missing' };
    if (errno === 'EIO' || errno === 'EISDIR') return { path, found: 'unreadable' };
    throw thrown;
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

/** read(2) may return less than asked for before the end of a file. */
function fill(handle: number, chunk: Buffer, position: number): number {
  let filled = 0;
  while (filled < chunk.length) {
    const bytesRead = readSync(handle, chunk, filled, chunk.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}
