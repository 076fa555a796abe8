import { createHash } from 'node:crypto';
import { type BytePath, toBytes } from '../../formats/byte-path.ts';
import { type ByteSource, type Layers, openLayered, sourceOf } from '../../formats/layered-file.ts';
import { pageBuffer } from '../../formats/page-buffer.ts';
import type { SuspectPage } from '../../formats/pages.ts';
import { DbkitError, errnoOf } from '../../kernel/errors.ts';
import { unlessOwnTrouble } from '../../kernel/own-trouble.ts';
import { openRegularSync } from '../regular-file.ts';

/** One file of a backup to read again; `pages` where its page checksums are to be verified on the way. */
export interface RereadTask {
  readonly path: BytePath;
  /** Where its bytes are, absolute. */
  readonly from: BytePath;
  readonly layers: Layers | undefined;
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
export function reread({ path, from, layers, pages }: RereadTask): Reread {
  let source: ByteSource | undefined;
  try {
    source = layers === undefined ? sourceOf(openRegularSync(toBytes(from))) : openLayered(from, layers);
    const hash = createHash('sha256');
    const unsound: SuspectPage[] = [];
    const { bytes: chunk, findUnsound } = pageBuffer();
    let sizeBytes = 0;
    for (;;) {
      const bytesRead = source.fill(chunk, chunk.length, sizeBytes);
      hash.update(chunk.subarray(0, bytesRead));
      if (pages) unsound.push(...findUnsound(bytesRead, sizeBytes / pages.blockSizeBytes, { ...pages, startLsn: undefined }));
      sizeBytes += bytesRead;
      if (bytesRead < chunk.length) return { path, found: { sizeBytes, sha256: hash.digest('hex'), unsound } };
    }
  } catch (thrown) {
    unlessOwnTrouble(thrown);
    if (thrown instanceof DbkitError) return { path, found: layers === undefined ? 'irregular' : 'unreadable' };
    const errno = errnoOf(thrown);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return { path, found: 'missing' };
    if (errno === 'EIO' || errno === 'EISDIR') return { path, found: 'unreadable' };
    throw thrown;
  } finally {
    source?.close();
  }
}
