import { HEADER_BYTES, header } from './pages.ts';

/** BTPageOpaqueData (nbtree.h), at the end of each page: left and right neighbour, level, flags, the number of a VACUUM's cycle. */
const SPECIAL_BYTES = 16;
const at = { next: 4, level: 8, flags: 12 } as const;
const LEAF = 1;
const DELETED = 4;
const META = 8;
const HALF_DEAD = 16;
const ITEM_BYTES = 4;
/** BTMetaPageData (nbtree.h), behind the header of block 0: the root, and where a descent begins instead. */
const meta = {
  magic: HEADER_BYTES,
  root: HEADER_BYTES + 8,
  level: HEADER_BYTES + 12,
  fastRoot: HEADER_BYTES + 16,
  fastLevel: HEADER_BYTES + 20,
};
const MAGIC = 0x053162;
const NONE = 0;
/** No btree of so few bytes is higher. */
const LEVEL_MAX = 32;

interface Page {
  readonly next: number;
  readonly level: number;
  readonly flags: number;
  /** Of one that is no leaf. */
  readonly children: readonly number[];
}

/** One page by its block; undefined where the file has none. */
export type ReadBlock = (block: number) => Buffer | undefined;

/**
 * The first block of a btree that is not where its ways lead: below a page that is not one level higher, or twice on the way to the right. Who descends there
 * may never arrive, hears no cancel, and takes memory for each step (_bt_search, nbtsearch.c). For the file of a server that was shut down: before its WAL
 * is replayed, pages are of several moments. Undefined: every way ends, or it is no btree.
 */
export function misplacedPage(read: ReadBlock): number | undefined {
  const first = read(0);
  if (first === undefined || !isMeta(pageOf(first)) || first.readUInt32LE(meta.magic) !== MAGIC) return undefined;
  const [root, level] = [first.readUInt32LE(meta.root), first.readUInt32LE(meta.level)];
  const [fastRoot, fastLevel] = [first.readUInt32LE(meta.fastRoot), first.readUInt32LE(meta.fastLevel)];
  if (root === NONE) return undefined;
  const pageAt = reader(read);
  return misplacedBelow(pageAt, root, level) ?? (fastRoot === root ? undefined : misplacedBelow(pageAt, fastRoot, fastLevel));
}

type PageAt = (block: number) => Page | undefined;

function misplacedBelow(pageAt: PageAt, top: number, height: number): number | undefined {
  if (height > LEVEL_MAX) return 0;
  const isWrong = (page: Page | undefined, level: number): boolean =>
    page === undefined || isMeta(page) || (isInUse(page) && !isOf(page, level));
  for (let level = height, leftmost = top; ; level -= 1) {
    let below: number | undefined;
    const met = new Set<number>();
    for (let block = leftmost; block !== NONE; ) {
      const page = met.has(block) ? undefined : pageAt(block);
      if (page === undefined || isWrong(page, level)) return block;
      met.add(block);
      for (const child of level > 0 && isInUse(page) ? page.children : []) {
        below ??= child;
        if (isWrong(pageAt(child), level - 1)) return child;
      }
      block = page.next;
    }
    if (level === 0) return undefined;
    if (below === undefined) return leftmost;
    leftmost = below;
  }
}

/** Each page is read once, and what is kept of it is small. */
function reader(read: ReadBlock): PageAt {
  const known = new Map<number, Page | undefined>();
  return (block) => {
    if (known.has(block)) return known.get(block);
    const bytes = read(block);
    const isPage = bytes !== undefined && bytes.readUInt16LE(header.special) === bytes.length - SPECIAL_BYTES;
    const page = isPage ? pageOf(bytes) : undefined;
    known.set(block, page);
    return page;
  };
}

function pageOf(bytes: Buffer): Page {
  const special = bytes.length - SPECIAL_BYTES;
  const [next, flags] = [bytes.readUInt32LE(special + at.next), bytes.readUInt16LE(special + at.flags)];
  return {
    next,
    flags,
    level: bytes.readUInt32LE(special + at.level),
    children: (flags & (LEAF | META)) === 0 ? childrenOf(bytes, next) : [],
  };
}

const isMeta = ({ flags }: Page): boolean => (flags & META) !== 0;
/** One that is deleted, or about to be, keeps something else in the place of its level. */
const isInUse = ({ flags }: Page): boolean => (flags & (DELETED | HALF_DEAD)) === 0;
const isOf = (page: Page, level: number): boolean => page.level === level && ((page.flags & LEAF) !== 0) === (level === 0);

/** Where the entries of a page that is no leaf lead; the first entry of one that has a right neighbour is its upper bound. */
function childrenOf(bytes: Buffer, next: number): number[] {
  const children: number[] = [];
  const end = bytes.length - SPECIAL_BYTES;
  const lower = Math.min(bytes.readUInt16LE(header.lower), end);
  for (let item = HEADER_BYTES + (next === NONE ? 0 : ITEM_BYTES); item + ITEM_BYTES <= lower; item += ITEM_BYTES) {
    const offset = bytes.readUInt32LE(item) & 0x7fff;
    if (offset >= lower && offset + 4 <= end) children.push(bytes.readUInt16LE(offset) * 0x10000 + bytes.readUInt16LE(offset + 2)); // itemptr.h: the high half first.
  }
  return children;
}
