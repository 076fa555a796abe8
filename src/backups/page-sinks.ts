import { ftruncateSync } from 'node:fs';
import { type BytePath, toBytes } from '../formats/byte-path.ts';
import { type ByteSource, sourceOf } from '../formats/layered-file.ts';
import { BUFFER_BYTES } from '../formats/page-buffer.ts';
import { createDeltaWriter, DELTA_PAGE_BYTES } from '../formats/page-delta.ts';
import { fillFrom, writeAll } from '../formats/whole-pieces.ts';
import { reading } from './copy-source.ts';
import { createChangeWriter } from './page-changes.ts';
import { openRegularSync } from './regular-file.ts';

/** The place where the bytes of a file that is read go; each call returns how many bytes it wrote. */
export interface Sink {
  write(chunk: Buffer, position: number): number;
  /** Call once, behind the last byte. */
  end(sizeBytes: number): number;
}

/** Every byte; of a `sparse` file blocks of zeroes are left as holes. */
export const wholeSink = (target: number, sparse: boolean): Sink => ({
  write: (chunk, position) => (sparse ? writeFilled(target, chunk, position) : writeAll(target, chunk, position)),
  end(sizeBytes) {
    if (sparse) ftruncateSync(target, sizeBytes); // A hole at the end is made by the size alone.
    return 0;
  },
});

export const nowhere: Sink = { write: () => 0, end: () => 0 };

const HOLE_BYTES = 64 * 1024;
const zeroes = Buffer.alloc(HOLE_BYTES);

function writeFilled(target: number, chunk: Buffer, position: number): number {
  let written = 0;
  for (let at = 0; at < chunk.length; at += HOLE_BYTES) {
    const block = chunk.subarray(at, at + HOLE_BYTES);
    if (!block.equals(zeroes.subarray(0, block.length))) written += writeAll(target, block, position + at);
  }
  return written;
}

/** Thrown where more pages differ than are worth comparing, or the earlier copy cannot be read, with the cause: then the file is copied whole. */
export class TooManyChanged extends Error {}

/** How an earlier copy of a file compares with it; blocks count from 0. */
interface Seen {
  /** `before`: as the earlier copy has it, empty where that has none. `now`: empty where the file has none any more. */
  changed(block: number, now: Buffer, before: Buffer): number;
}

let room: Buffer | undefined;

/** Calls `changed` for each page that differs from the earlier copy, in rising order. */
function comparing(source: ByteSource, { changed }: Seen): Sink {
  const earlier = asComparable(source);
  room ??= Buffer.alloc(BUFFER_BYTES + DELTA_PAGE_BYTES);
  const before = room;
  const pages = (now: Buffer, position: number, filled: number): number => {
    let written = 0;
    for (let at = 0; at < Math.max(now.length, filled); at += DELTA_PAGE_BYTES) {
      const one = now.subarray(Math.min(at, now.length), at + DELTA_PAGE_BYTES);
      const other = before.subarray(Math.min(at, filled), Math.min(at + DELTA_PAGE_BYTES, filled));
      if (!one.equals(other)) written += changed((position + at) / DELTA_PAGE_BYTES, one, other);
    }
    return written;
  };
  return {
    write(chunk, position) {
      if (position % DELTA_PAGE_BYTES !== 0) throw new TooManyChanged(); // It was cut and grew again while it was read.
      const wanted = Math.ceil(chunk.length / DELTA_PAGE_BYTES) * DELTA_PAGE_BYTES; // All of a page that is cut short now.
      const filled = earlier.fill(before, wanted, position);
      if (filled === chunk.length && chunk.equals(before.subarray(0, filled))) return 0;
      return pages(chunk, position, filled);
    },
    end(sizeBytes) {
      let written = 0;
      const step = before.length - DELTA_PAGE_BYTES;
      for (let position = Math.ceil(sizeBytes / DELTA_PAGE_BYTES) * DELTA_PAGE_BYTES; position < earlier.sizeBytes; position += step)
        written += pages(Buffer.alloc(0), position, earlier.fill(before, step, position));
      return written;
    },
  };
}

/** An earlier copy that cannot be opened or read keeps nobody from a new one. */
function comparable<T>(work: () => T): T {
  try {
    return reading(work);
  } catch (cause) {
    throw new TooManyChanged('', { cause });
  }
}

const asComparable = (earlier: ByteSource): ByteSource => ({
  ...earlier,
  fill: (into, lengthBytes, position) => comparable(() => earlier.fill(into, lengthBytes, position)),
});

/** The earlier copy, a regular file. Throws `TooManyChanged`. */
export const openEarlier = (path: BytePath): ByteSource => comparable(() => sourceOf(openRegularSync(toBytes(path))));

/** Writes what differs into a clone of the earlier copy. */
export function cloneSink(target: number, earlierSizeBytes: number): Sink {
  const earlier: ByteSource = {
    sizeBytes: earlierSizeBytes,
    fill: (into, lengthBytes, position) => fillFrom(target, into, lengthBytes, position),
    close: () => undefined,
  };
  const sink = comparing(earlier, {
    changed: (block, now) => (now.length > 0 ? writeAll(target, now, block * DELTA_PAGE_BYTES) : 0),
  });
  return {
    write: sink.write,
    end(sizeBytes) {
      ftruncateSync(target, sizeBytes);
      return 0;
    },
  };
}

/** The files of one delta, open and empty. */
export interface DeltaFiles {
  /** The pages that the earlier copy had. */
  readonly old: number;
  /** The bytes to write into it. */
  readonly fresh: number;
}

/** Puts aside the pages that differ, and what is to be written in their place. Throws `TooManyChanged`. */
export function deltaSink(
  earlier: ByteSource,
  { old, fresh }: DeltaFiles,
  pagesMax: number,
): Sink & { readonly changedPages: () => number } {
  const kept = createDeltaWriter(old);
  const changes = createChangeWriter(fresh);
  let changedPages = 0;
  const sink = comparing(earlier, {
    changed(block, now, before) {
      changedPages += 1;
      if (changedPages > pagesMax) throw new TooManyChanged();
      if (before.length > 0) kept.add(block, before);
      if (now.length > 0) changes.add(block * DELTA_PAGE_BYTES, now, before);
      return now.length;
    },
  });
  return {
    write: sink.write,
    end(sizeBytes) {
      const cut = sink.end(sizeBytes);
      return cut + kept.finish(earlier.sizeBytes) + changes.finish();
    },
    changedPages: () => changedPages,
  };
}
