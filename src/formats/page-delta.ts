import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import { fillFrom, writeAll } from './whole-pieces.ts';
import { loadedZstd } from './zstd.ts';

/**
 * Pages that a file had before they were written over (docs/REPOSITORY-FORMAT.md): zstd frames of up to 32 pages, so that `zstd -dc` gives the pages
 * one after the other, and behind them, in a frame that zstd skips, which pages they are.
 */
export const DELTA_PAGE_BYTES = 8192;
const FRAME_PAGES = 32;
const SKIPPABLE_MAGIC = 0x184d2a5d; // RFC 8878, 3.1.2: 0x184D2A50 to 0x184D2A5F.
const HEADER_BYTES = 8;
const END = /^E (\d{10}) ([0-9a-f]{64})\n$/;
const END_BYTES = 78;
const INDEX_BYTES_MAX = 64 * 1024 * 1024;
/** Of pages that do not shrink zstd makes a little more (ZSTD_COMPRESSBOUND). */
const PACKED_BYTES_MAX = 2 * FRAME_PAGES * DELTA_PAGE_BYTES;
/** A file of PostgreSQL's own has a block for each of 32 bits at most (block.h). */
const BLOCK_MAX = 0xffff_ffff;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export interface DeltaWriter {
  /** Blocks in rising order; a last page that is shorter is filled up with zeroes. */
  add(block: number, page: Buffer): void;
  /** `sizeBytes`: of the file whose pages these are. Returns how many bytes were written. */
  finish(sizeBytes: number): number;
}

/** Writes to an open, empty file. The caller syncs it. */
export function createDeltaWriter(file: number): DeltaWriter {
  const codec = loadedZstd();
  const frame = Buffer.alloc(FRAME_PAGES * DELTA_PAGE_BYTES);
  let lines = '';
  let blocks: number[] = [];
  let written = 0;
  const append = (bytes: Buffer): void => {
    written += writeAll(file, bytes, written);
  };
  const flush = (): void => {
    if (blocks.length === 0) return;
    const packed = codec.compress(frame.subarray(0, blocks.length * DELTA_PAGE_BYTES));
    append(packed);
    lines += `F ${packed.length} ${sha256(packed)}\n${runsOf(blocks)}`;
    blocks = [];
  };
  return {
    add(block, page) {
      const at = blocks.length * DELTA_PAGE_BYTES;
      page.copy(frame, at);
      frame.fill(0, at + page.length, at + DELTA_PAGE_BYTES);
      blocks.push(block);
      if (blocks.length === FRAME_PAGES) flush();
    },
    finish(sizeBytes) {
      flush();
      const body = `dbkit.pages/v1 ${DELTA_PAGE_BYTES} ${sizeBytes}\n${lines}`;
      const length = body.length + END_BYTES;
      const header = Buffer.alloc(HEADER_BYTES);
      header.writeUInt32LE(SKIPPABLE_MAGIC, 0);
      header.writeUInt32LE(length, 4);
      append(header);
      append(Buffer.from(`${body}E ${String(length).padStart(10, '0')} ${sha256(Buffer.from(body))}\n`));
      return written;
    },
  };
}

function runsOf(blocks: readonly number[]): string {
  let text = '';
  for (let from = 0; from < blocks.length; ) {
    let to = from + 1;
    while (to < blocks.length && blocks[to] === blocks[to - 1]! + 1) to += 1;
    text += `R ${blocks[from]} ${to - from}\n`;
    from = to;
  }
  return text;
}

/** A delta that is open for reading; its pages are read as they are asked for. */
export interface Delta {
  /** Of the file whose pages these are. */
  readonly sizeBytes: number;
  readonly blocks: readonly number[];
  /** The whole page, until the next call; undefined where it is none of these. Throws `data.corrupt`. */
  page(block: number): Buffer | undefined;
  close(): void;
}

interface Frame {
  readonly position: number;
  readonly packedBytes: number;
  readonly sha256: string;
  pages: number;
}

/** Opens a delta. Throws `data.corrupt` for one that is torn, or not what was written, and as open(2) does. */
export function openDelta(path: Buffer): Delta {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    const { sizeBytes, frames, places } = readIndex(file, path);
    let held: { readonly frame: number; readonly pages: Buffer } | undefined;
    const pagesOf = (frame: number): Buffer => {
      if (held?.frame !== frame) held = { frame, pages: unpack(file, path, frames[frame]!) };
      return held.pages;
    };
    return {
      sizeBytes,
      blocks: [...places.keys()],
      page(block) {
        const place = places.get(block);
        if (place === undefined) return undefined;
        const at = (place % FRAME_PAGES) * DELTA_PAGE_BYTES;
        return pagesOf(Math.floor(place / FRAME_PAGES)).subarray(at, at + DELTA_PAGE_BYTES);
      },
      close: () => closeSync(file),
    };
  } catch (cause) {
    closeSync(file);
    throw cause;
  }
}

/** `places`: by block, the number of its frame times 32 and its place in that. */
function readIndex(file: number, path: Buffer): { sizeBytes: number; frames: Frame[]; places: Map<number, number> } {
  const stats = fstatSync(file);
  const end = stats.isFile() && stats.size > END_BYTES ? END.exec(at(file, stats.size - END_BYTES, END_BYTES).toString('latin1')) : null;
  const length = Number(end?.[1] ?? 0);
  const start = stats.size - length - HEADER_BYTES;
  if (end === null || length > INDEX_BYTES_MAX || start < 0) throw torn(path, 'its end is missing');
  const header = at(file, start, HEADER_BYTES);
  const body = at(file, start + HEADER_BYTES, length - END_BYTES);
  if (header.readUInt32LE(0) !== SKIPPABLE_MAGIC || header.readUInt32LE(4) !== length || sha256(body) !== end[2])
    throw torn(path, 'its list of pages is not what was written');
  const [head, ...lines] = body.toString('latin1').split('\n');
  const [, pageBytes, size] = /^dbkit\.pages\/v1 (\d+) (\d+)$/.exec(head ?? '') ?? [];
  if (Number(pageBytes) !== DELTA_PAGE_BYTES) throw torn(path, 'it is of another form');
  const frames: Frame[] = [];
  const places = new Map<number, number>();
  let position = 0;
  for (const line of lines) {
    const [kind, one, two] = line.split(' ');
    const frame = frames.at(-1);
    if (kind === 'F') {
      frames.push({ position, packedBytes: numberOf(one, PACKED_BYTES_MAX, path), sha256: two!, pages: 0 });
      position += frames.at(-1)!.packedBytes;
    } else if (kind === 'R' && frame !== undefined) {
      const from = numberOf(one, BLOCK_MAX, path);
      const to = from + numberOf(two, FRAME_PAGES, path);
      for (let block = from; block < to; block += 1, frame.pages += 1) places.set(block, (frames.length - 1) * FRAME_PAGES + frame.pages);
    }
  }
  if (position !== start || frames.some(({ pages }) => pages === 0 || pages > FRAME_PAGES)) throw torn(path, 'pages of it are missing');
  return { sizeBytes: numberOf(size, Number.MAX_SAFE_INTEGER, path), frames, places };
}

/** Somebody else may have written it, with hashes that fit. */
function numberOf(text: string | undefined, max: number, path: Buffer): number {
  const number = /^\d{1,16}$/.test(text ?? '') ? Number(text) : Number.NaN;
  if (number <= max) return number;
  throw torn(path, `its list of pages has ${JSON.stringify(text?.slice(0, 20) ?? '')} where a number belongs`);
}

function unpack(file: number, path: Buffer, { position, packedBytes, sha256: digest, pages }: Frame): Buffer {
  const packed = at(file, position, packedBytes);
  if (sha256(packed) !== digest) throw torn(path, 'pages of it are not what was written');
  const plain = plainOf(packed, pages * DELTA_PAGE_BYTES, path);
  if (plain.length !== pages * DELTA_PAGE_BYTES) throw torn(path, 'pages of it are missing');
  return plain;
}

function plainOf(packed: Buffer, plainBytesMax: number, path: Buffer): Buffer {
  try {
    return loadedZstd().decompress(packed, plainBytesMax);
  } catch (cause) {
    throw torn(path, `pages of it cannot be unpacked (${wordsOf(cause)})`);
  }
}

function at(file: number, position: number, lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  return bytes.subarray(0, fillFrom(file, bytes, lengthBytes, position));
}

const torn = (path: Buffer, why: string): DbkitError =>
  new DbkitError('data.corrupt', `the earlier pages in ${path.toString('utf8')} are damaged: ${why}`, {
    hint: 'use another backup: `dbkit backup list` shows which are good',
  });
