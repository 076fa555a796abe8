import { createHash } from 'node:crypto';
import { closeSync } from 'node:fs';
import { type BytePath, join, toBytes } from '../../formats/byte-path.ts';
import { pageBuffer } from '../../formats/page-buffer.ts';
import type { SuspectPage } from '../../formats/pages.ts';
import { DbkitError, errnoOf } from '../../kernel/errors.ts';
import { fill } from '../copy-file.ts';
import { openRegularSync } from '../regular-file.ts';

/** One file of a backup to read again; `pages` where its page checksums are to be verified on the way. */
export interface RereadTask {
  readonly root: BytePath;
  readonly path: BytePath;
  /** The expected size: only for dealing the files out. */
  readonly sizeBytes: number;
  readonly pages: { readonly blockSizeBytes: number; readonly firstBlock: number } | undefined;
}

export interface Reread {
  readonly path: BytePath;
  readonly found:
    | { readonly sizeBytes: number; readonly sha256: string; readonly unsound: readonly SuspectPage[] }
    | 'missing'
    | 'unreadable'
    /** A link, a pipe or a device in its place. */
    | 'irregular';
}

/** Reads one file to its end, synchronously: it runs on a thread of its own. Throws what is neither absence nor a read error. */
export function reread({ root, path, pages }: RereadTask): Reread {
  let handle: number | undefined;
  try {
    handle = openRegularSync(toBytes(join(root, path)));
    const hash = createHash('sha256');
    const unsound: SuspectPage[] = [];
    const { bytes: chunk, findUnsound } = pageBuffer();
    let sizeBytes = 0;
    for (;;) {
      const bytesRead = fill(handle, chunk, chunk.length, sizeBytes);
      hash.update(chunk.subarray(0, bytesRead));
      if (pages) unsound.push(...findUnsound(bytesRead, sizeBytes / pages.blockSizeBytes, { ...pages, startLsn: undefined }));
      sizeBytes += bytesRead;
      if (bytesRead < chunk.length) return { path, found: { sizeBytes, sha256: hash.digest('hex'), unsound } };
    }
  } catch (thrown) {
    if (thrown instanceof DbkitError) return { path, found: 'irregular' };
    const errno = errnoOf(thrown);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return { path, found: 'missing' };
    if (errno === 'EIO' || errno === 'EISDIR') return { path, found: 'unreadable' };
    throw thrown;
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}
