import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { DbkitError } from '../kernel/errors.ts';
import { type BytePath, toBytes } from './byte-path.ts';
import { DELTA_PAGE_BYTES, type Delta, openDelta } from './page-delta.ts';
import { fillFrom } from './whole-pieces.ts';

/** A file as it was: what it has become, with the pages laid over it that it had before. Plain data: it crosses threads. */
export interface Layers {
  /** Absolute, the nearest to the file as it was first. */
  readonly deltas: readonly BytePath[];
  readonly sizeBytes: number;
}

/** Bytes that are read at a position, on the thread that asks. */
export interface ByteSource {
  readonly sizeBytes: number;
  /** Fewer than `lengthBytes` only at the end. */
  fill(into: Buffer, lengthBytes: number, position: number): number;
  close(): void;
}

/** The bytes of an open file; closes it. */
export const sourceOf = (file: number): ByteSource => ({
  sizeBytes: fstatSync(file).size,
  fill: (into, lengthBytes, position) => fillFrom(file, into, lengthBytes, position),
  close: () => closeSync(file),
});

/** Call `loadZstdSync` before. Throws `data.corrupt` for what is no regular file, and for a delta that is not what was written. */
export function openLayered(path: BytePath, { deltas: paths, sizeBytes }: Layers): ByteSource {
  const file = openSync(toBytes(path), constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  const deltas: Delta[] = [];
  const close = (): void => {
    for (const delta of deltas) delta.close();
    closeSync(file);
  };
  try {
    if (!fstatSync(file).isFile()) throw new DbkitError('data.corrupt', `${path} is not a regular file`);
    for (const delta of paths) deltas.push(openDelta(toBytes(delta)));
  } catch (cause) {
    close();
    throw cause;
  }
  const pageOf = (block: number): Buffer | undefined => {
    for (const delta of deltas) {
      const page = delta.page(block);
      if (page !== undefined) return page;
    }
    return undefined;
  };
  return {
    sizeBytes,
    close,
    fill(into, lengthBytes, position) {
      const end = Math.min(position + lengthBytes, sizeBytes);
      if (end <= position) return 0;
      let filledTo = position + fillFrom(file, into, end - position, position);
      for (let block = Math.floor(position / DELTA_PAGE_BYTES); block * DELTA_PAGE_BYTES < end; block += 1) {
        const from = Math.max(block * DELTA_PAGE_BYTES, position);
        const to = Math.min((block + 1) * DELTA_PAGE_BYTES, end);
        const page = pageOf(block);
        if (page === undefined) {
          if (filledTo < to) break; // The file is too short, and nobody kept this page: nothing behind it counts.
          continue;
        }
        page.copy(into, from - position, from - block * DELTA_PAGE_BYTES, to - block * DELTA_PAGE_BYTES);
        filledTo = Math.max(filledTo, to);
      }
      return filledTo - position;
    },
  };
}
