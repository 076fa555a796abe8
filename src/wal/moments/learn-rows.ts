import { rowsOf } from '../../formats/catalog-rows.ts';
import { pageOf } from '../../formats/page-image.ts';
import type { BlockReference } from '../../formats/wal-record.ts';
import type { Catalog } from './catalog.ts';

const ROW_HEADER_BYTES = 5; // xl_heap_header
const TUPLE_HEADER_BYTES = 23; // SizeofHeapTupleHeader
/** xl_heap_update.flags (heapam_xlog.h). */
const [PREFIX_FROM_OLD, SUFFIX_FROM_OLD] = [0x20, 0x40];

/** Learns the row that xl_heap_insert put there. Resolves to the relation's number where it is one of pg_class. */
export function learnInserted(catalog: Catalog, { relation, block, image, data }: BlockReference, main: Buffer): number | undefined {
  const { database, file } = relation;
  const item = main.readUInt16LE(0);
  const page = image && pageOf(image);
  if (page) learnPage(catalog, relation, block, page);
  const row = page ? rowsOf(page).find((one) => one.item === item)?.data : rowIn(data, 0);
  return row && catalog.learn(database, file, { block, item }, row)?.oid;
}

/** The same for xl_heap_update: what the new row shares with the old one at its beginning and its end is left out of the record. */
export function learnUpdated(catalog: Catalog, to: BlockReference, from: BlockReference, main: Buffer): void {
  const { database, file } = to.relation;
  const page = to.image && pageOf(to.image);
  if (page) {
    learnPage(catalog, to.relation, to.block, page);
    return;
  }
  const [oldItem, flags, item] = [main.readUInt16LE(4), main.readUInt8(7), main.readUInt16LE(12)];
  const old = catalog.bytesAt(database, file, { block: from.block, item: oldItem }) ?? Buffer.alloc(0);
  const [hasPrefix, hasSuffix] = [(flags & PREFIX_FROM_OLD) !== 0, (flags & SUFFIX_FROM_OLD) !== 0];
  const header = (hasPrefix ? 2 : 0) + (hasSuffix ? 2 : 0);
  if (to.data.length <= header + ROW_HEADER_BYTES) return;
  const prefix = hasPrefix ? to.data.readUInt16LE(0) : 0;
  const suffix = hasSuffix ? to.data.readUInt16LE(hasPrefix ? 2 : 0) : 0;
  const own = rowIn(to.data, header);
  if (own === undefined || prefix + suffix > old.length) return;
  const row = Buffer.concat([old.subarray(0, prefix), own, old.subarray(old.length - suffix)]);
  catalog.learn(database, file, { block: to.block, item }, row);
}

function learnPage(catalog: Catalog, { database, file }: BlockReference['relation'], block: number, page: Buffer): void {
  for (const { item, data } of rowsOf(page)) catalog.learn(database, file, { block, item }, data);
}

/** Behind xl_heap_header and the null bitmap; undefined where the record holds no row. */
function rowIn(data: Buffer, at: number): Buffer | undefined {
  if (data.length <= at + ROW_HEADER_BYTES) return undefined;
  return data.subarray(at + ROW_HEADER_BYTES + data.readUInt8(at + 4) - TUPLE_HEADER_BYTES);
}
