import { HEADER_BYTES, header } from './pages.ts';

/** BTPageOpaqueData (nbtree.h), at the end of each page: left and right neighbour, level, flags, the number of a VACUUM's cycle. */
const SPECIAL_BYTES = 16;
const at = { next: 4, level: 8, flags: 12, cycle: 14 } as const;
const LEAF = 1;
const DELETED = 4;
const META = 8;
const HALF_DEAD = 16;
/** Other kinds of indexes keep a number of their own there (gist_private.h, hash.h). */
const CYCLE_MAX = 0xff7f;
const ITEM_BYTES = 4;

interface Page {
  readonly bytes: Buffer;
  readonly next: number;
  readonly flags: number;
}

/**
 * The first block of a btree that bears the page of another: the index's own description where it is not the first page, or a page whose way down leads to
 * one that is the same. Who descends there never arrives, hears no cancel (_bt_search, nbtsearch.c), and takes memory for each step. No crash leaves
 * either: a page never led to itself, and no two are equal; levels alone may differ where a page was used again and its old parent is still there.
 * Undefined: none does, or it is no btree.
 */
export function misplacedPage(index: Buffer, blockSizeBytes: number): number | undefined {
  const pages: (Page | undefined)[] = [];
  for (let offset = 0; offset + blockSizeBytes <= index.length; offset += blockSizeBytes)
    pages.push(pageOf(index.subarray(offset, offset + blockSizeBytes)));
  const isBtree = pages.some((page) => page !== undefined);
  if (!isBtree) return undefined;
  const misplaced = pages.findIndex((page, block) => page !== undefined && (isMeta(page) !== (block === 0) || leadsRound(page, pages)));
  return misplaced < 0 ? undefined : misplaced;
}

function pageOf(bytes: Buffer): Page | undefined {
  const special = bytes.length - SPECIAL_BYTES;
  if (bytes.readUInt16LE(header.upper) === 0 || bytes.readUInt16LE(header.special) !== special) return undefined;
  if (bytes.readUInt16LE(special + at.cycle) > CYCLE_MAX) return undefined;
  const [next, level, flags] = [
    bytes.readUInt32LE(special + at.next),
    bytes.readUInt32LE(special + at.level),
    bytes.readUInt16LE(special + at.flags),
  ];
  const isTorn = level === 0 && (flags & (LEAF | META | DELETED | HALF_DEAD)) === 0; // A new one whose end had not come to the disk.
  return isTorn ? undefined : { bytes, next, flags };
}

const isMeta = ({ flags }: Page): boolean => (flags & META) !== 0;
const isInUse = ({ flags }: Page): boolean => (flags & (META | DELETED | HALF_DEAD)) === 0;

/** Of a page that is no leaf: the entries lead one level down; the first of one that has a right neighbour is its upper bound. */
function leadsRound(page: Page, pages: readonly (Page | undefined)[]): boolean {
  if (!isInUse(page) || (page.flags & LEAF) !== 0) return false;
  const { bytes, next } = page;
  const lower = Math.min(bytes.readUInt16LE(header.lower), bytes.length - SPECIAL_BYTES);
  for (let item = HEADER_BYTES + (next === 0 ? 0 : ITEM_BYTES); item + ITEM_BYTES <= lower; item += ITEM_BYTES) {
    const offset = bytes.readUInt32LE(item) & 0x7fff;
    if (offset < lower || offset + 4 > bytes.length - SPECIAL_BYTES) continue;
    const child = pages[bytes.readUInt16LE(offset) * 0x10000 + bytes.readUInt16LE(offset + 2)]; // itemptr.h: the high half first.
    if (child?.bytes.equals(bytes)) return true;
  }
  return false;
}
