import type { Lsn } from './wal-segment.ts';

/** Where the fields of a page's header stand, in bytes (bufpage.h, PageHeaderData). An upper of 0: the page was never initialised. */
export const header = { checksum: 8, flags: 10, lower: 12, upper: 14, special: 16, pruneXid: 20 } as const;
export const HEADER_BYTES = 24;

/** How the pages of a relation file are to be judged. */
export interface PageRule {
  readonly blockSizeBytes: number;
  /** The number of the file's first block within its relation: segments count on. */
  readonly firstBlock: number;
  /** Pages at or past it may be torn, and WAL replay rewrites them; undefined when nothing writes while we read. */
  readonly startLsn: Lsn | undefined;
}

export interface SuspectPage {
  /** Within the file. */
  readonly block: number;
  readonly lsn: Lsn;
}

export type PageChecksum = (page: Uint8Array, blockNumber: number) => number;

/** The page's own LSN (bufpage.h, PageXLogRecPtr: two 32-bit halves, the high one first). */
export const pageLsn = (page: Buffer, offset: number): Lsn =>
  (BigInt(page.readUInt32LE(offset)) << 32n) | BigInt(page.readUInt32LE(offset + 4));

/** True for a page that is sound or was never initialised: all zero (bufpage.c, PageIsVerified). */
export function isSoundPage(page: Buffer, blockNumber: number, checksum: PageChecksum): boolean {
  const neverInitialised = page.readUInt16LE(header.upper) === 0;
  if (neverInitialised) return isZero(page);
  return checksum(page, blockNumber) === page.readUInt16LE(header.checksum);
}

/**
 * The pages of a chunk whose header cannot be right (bufpage.c, PageIsVerified), or that hold zeroes for a tuple, or for the special space of an index:
 * all that can be told where a cluster has no checksums.
 */
export function findBrokenHeaders(chunk: Buffer, firstBlock: number, blockSizeBytes: number): number[] {
  const broken: number[] = [];
  for (let offset = 0, block = firstBlock; offset + blockSizeBytes <= chunk.length; offset += blockSizeBytes, block += 1) {
    const field = (at: number): number => chunk.readUInt16LE(offset + at);
    const [flags, lower, upper, special] = [field(header.flags), field(header.lower), field(header.upper), field(header.special)];
    const isSound =
      upper === 0
        ? isZero(chunk.subarray(offset, offset + blockSizeBytes))
        : flags <= 7 &&
          lower <= upper &&
          upper <= special &&
          special <= blockSizeBytes &&
          special % 8 === 0 &&
          !holdsZeroes(chunk.subarray(offset, offset + blockSizeBytes), { lower, upper, special });
    if (!isSound) broken.push(block);
  }
  return broken;
}

interface PageEnds {
  readonly lower: number;
  readonly upper: number;
  readonly special: number;
}

function holdsZeroes(page: Buffer, ends: PageEnds): boolean {
  if (ends.special === page.length) return ends.upper < ends.special && hasZeroedTuple(page, ends.lower, ends.upper);
  return isZero(page.subarray(ends.special)) || (ends.upper < ends.special && hasZeroedEntry(page, ends));
}

/**
 * Of a page of an index: no entry begins with eight zeroes, as its size is among them (itup.h, spgist_private.h), and no special space is all zeroes, as
 * it has a kind, a level or a neighbour. A page that keeps other things where items would be has one that cannot be an item.
 */
function hasZeroedEntry(page: Buffer, { lower, upper, special }: PageEnds): boolean {
  let isFound = false;
  for (let at = HEADER_BYTES; at + ITEM_BYTES <= lower; at += ITEM_BYTES) {
    const item = page.readUInt32LE(at);
    const [offset, length] = [item & 0x7fff, item >>> 17];
    if (item === 0 || length === 0) continue; // Not in use, or without storage.
    if (offset < upper || offset + length > special) return false;
    const isEntry = ((item >>> 15) & 3) === LP_NORMAL && length >= ENTRY_HEADER_BYTES;
    isFound ||= isEntry && page.readUInt32LE(offset) === 0 && page.readUInt32LE(offset + 4) === 0;
  }
  return isFound;
}

const ENTRY_HEADER_BYTES = 8;
const ITEM_BYTES = 4;
const LP_NORMAL = 1;
const TUPLE_HEADER_BYTES = 23;

/** Of a page without special space, which is a table's: no tuple has zeroes for a header, as its t_hoff is never 0 (itemid.h, htup_details.h). */
function hasZeroedTuple(page: Buffer, lower: number, upper: number): boolean {
  for (let at = HEADER_BYTES; at + ITEM_BYTES <= lower; at += ITEM_BYTES) {
    const item = page.readUInt32LE(at);
    const offset = item & 0x7fff;
    const length = item >>> 17;
    if (((item >>> 15) & 3) !== LP_NORMAL || offset < upper || length < TUPLE_HEADER_BYTES || offset + length > page.length) continue;
    if (page.readUInt32LE(offset) !== 0) continue; // Its xmin: of nearly every tuple nothing more is read.
    if (isZero(page.subarray(offset, offset + TUPLE_HEADER_BYTES))) return true;
  }
  return false;
}

/** True for a page that was never written to. */
export const isZero = (page: Buffer): boolean => page.every((byte) => byte === 0);
