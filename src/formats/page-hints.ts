import { HEADER_BYTES, header } from './pages.ts';

const LP_NORMAL = 1;
const LP_FLAGS = 0x18000;
const INFOMASK_AT = 20; // HeapTupleHeaderData.t_infomask (htup_details.h)
/** HEAP_XMIN_COMMITTED, HEAP_XMIN_INVALID, HEAP_XMAX_COMMITTED, HEAP_XMAX_INVALID. */
const INFOMASK_HINTS = 0x0f00;

/**
 * True if two pages hold the same, but for what a server may change without WAL: hint bits, items marked as dead, the checksum, and what lies
 * in no item (bufmask.c masks the same for wal_consistency_checking).
 */
export function isSameButHints(a: Buffer, b: Buffer): boolean {
  return a.equals(b) || masked(a).equals(masked(b));
}

const [SPGIST_PAGE_ID, SPGIST_META] = [0xff82, 0x0001];

/** Behind its magic number it only remembers which pages have room, and no WAL says so (spgutils.c, SpGistUpdateMetaPage). */
const isSpgistMeta = (page: Buffer, special: number): boolean =>
  page.length - special === 8 && page.readUInt16LE(page.length - 2) === SPGIST_PAGE_ID && (page.readUInt16LE(special) & SPGIST_META) !== 0;

function masked(page: Buffer): Buffer {
  const copy = Buffer.from(page);
  const [lower, upper, special] = [copy.readUInt16LE(header.lower), copy.readUInt16LE(header.upper), copy.readUInt16LE(header.special)];
  copy.writeUInt16LE(0, header.checksum);
  copy.writeUInt16LE(0, header.flags);
  copy.writeUInt32LE(0, header.pruneXid);
  if (lower < HEADER_BYTES || lower > upper || upper > special || special > copy.length) return copy;
  copy.fill(0, lower, upper);
  if (isSpgistMeta(copy, special)) return copy.fill(0, HEADER_BYTES + 4, lower);
  const isHeap = special === copy.length;
  if (!isHeap && copy.length - special >= 8) copy.fill(0, copy.length - 4); // The flags of an index page: 'has garbage' among them.
  for (let at = HEADER_BYTES; at + 4 <= lower; at += 4) {
    const item = copy.readUInt32LE(at);
    if (!isHeap) copy.writeUInt32LE((item & ~LP_FLAGS) >>> 0, at);
    else if ((item & LP_FLAGS) >>> 15 === LP_NORMAL) {
      const mask = (item & 0x7fff) + INFOMASK_AT;
      if (mask + 2 <= copy.length) copy.writeUInt16LE(copy.readUInt16LE(mask) & ~INFOMASK_HINTS, mask);
    }
  }
  return copy;
}
