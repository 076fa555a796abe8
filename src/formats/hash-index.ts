const HASH_PAGE_ID = 0xff80; // HASHO_PAGE_ID (access/hash.h), in the last two bytes of every page of such an index.
const META_MAGIC = 0x6440640;
/** HashMetaPageData behind the header of 24 bytes (access/hash.h). */
const meta = { magic: 24, maxBucket: 48, overflowPoint: 60, spares: 76 } as const;
const SPARES = 98;

export const isHashPage = (page: Buffer): boolean => page.readUInt16LE(page.length - 2) === HASH_PAGE_ID;

/** Blocks of buckets that do not exist yet, from the first to the last: the server makes room for many at once and leaves zeroes there (hashpage.c). */
export interface BucketsAhead {
  readonly from: number;
  readonly to: number;
}

/** By the index's first page, whose buckets all lie before `from`. Undefined for a page that is no such page. Pure. */
export function bucketsAhead(page: Buffer): BucketsAhead | undefined {
  if (!isHashPage(page) || page.readUInt32LE(meta.magic) !== META_MAGIC) return undefined;
  const point = page.readUInt32LE(meta.overflowPoint);
  if (point >= SPARES) return undefined;
  const spare = point === 0 ? 0 : page.readUInt32LE(meta.spares + 4 * (point - 1));
  return { from: page.readUInt32LE(meta.maxBucket) + 1 + spare + 1, to: bucketsAt(point) + spare };
}

const [GROUPS_WITH_ONE_PHASE, PHASE_BITS] = [10, 2];

/** So many buckets have room at a splitpoint's phase (_hash_get_totalbuckets, hashutil.c). */
function bucketsAt(phase: number): number {
  if (phase < GROUPS_WITH_ONE_PHASE) return 2 ** phase;
  const later = phase - GROUPS_WITH_ONE_PHASE;
  const before = 2 ** (GROUPS_WITH_ONE_PHASE + (later >> PHASE_BITS) - 1);
  return before + (before >> PHASE_BITS) * ((later & ((1 << PHASE_BITS) - 1)) + 1);
}
