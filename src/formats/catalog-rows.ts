/** A row of a catalog as it lies on a page: behind its header, from the first column on, and its line pointer. */
export interface PageRow {
  readonly item: number;
  readonly data: Buffer;
  /** The transaction that made it, and t_infomask. */
  readonly xmin: number;
  readonly infomask: number;
}

const PAGE_HEADER_BYTES = 24;
const LINE_POINTER_BYTES = 4;
const NORMAL = 1;
const INFOMASK_AT = 20;
const HEADER_LENGTH_AT = 22; // t_hoff (htup_details.h)

/** Rows of a heap page, dead ones too: what was dropped has a name as well. */
export function rowsOf(page: Buffer): PageRow[] {
  const lower = Math.min(page.readUInt16LE(12), page.length);
  const rows: PageRow[] = [];
  for (let at = PAGE_HEADER_BYTES; at + LINE_POINTER_BYTES <= lower; at += LINE_POINTER_BYTES) {
    const pointer = page.readUInt32LE(at);
    const [offset, flags, length] = [pointer & 0x7fff, (pointer >>> 15) & 3, pointer >>> 17];
    if (flags !== NORMAL || length <= HEADER_LENGTH_AT || offset + length > page.length) continue;
    const data = page.subarray(offset + page[offset + HEADER_LENGTH_AT]!, offset + length);
    const [xmin, infomask] = [page.readUInt32LE(offset), page.readUInt16LE(offset + INFOMASK_AT)];
    rows.push({ item: (at - PAGE_HEADER_BYTES) / LINE_POINTER_BYTES + 1, data, xmin, infomask });
  }
  return rows;
}

/** The fields that are read of a row of pg_class. */
export interface ClassRow {
  readonly oid: number;
  readonly name: string;
  readonly namespace: number;
  /** 0 where the relation has no file of its own, or a mapped one. */
  readonly file: number;
  /** 'r' a table, 'i' an index, 't' TOAST, 'v' a view, and so on. */
  readonly kind: string;
  readonly isTemporary: boolean;
}

/** Columns of fixed length stand first: oid, relname (64 bytes), relnamespace, six numbers, and behind the statistics the letters (pg_class.h). */
export function classRow(data: Buffer, major: number): ClassRow | undefined {
  const persistenceAt = major >= 18 ? 118 : 114; // relallfrozen came with 18.
  if (data.length < persistenceAt + 2) return undefined;
  return {
    ...namedRow(data),
    namespace: data.readUInt32LE(68),
    file: data.readUInt32LE(88),
    kind: String.fromCharCode(data[persistenceAt + 1]!),
    isTemporary: data[persistenceAt] === 't'.charCodeAt(0),
  };
}

const NAME_BYTES = 64;

/** pg_database and pg_namespace begin like it: a number and a name. */
export function namedRow(data: Buffer): { readonly oid: number; readonly name: string } {
  const end = data.indexOf(0, 4);
  return { oid: data.readUInt32LE(0), name: data.toString('utf8', 4, end < 0 ? 4 + NAME_BYTES : Math.min(end, 4 + NAME_BYTES)) };
}
