import type { ImagePacking, PageImage } from './page-image.ts';
import { WAL_PAGE_BYTES } from './wal-segment.ts';

export interface RelationFile {
  readonly tablespace: number;
  readonly database: number;
  readonly file: number;
}

/** A page that a record speaks of. */
export interface BlockReference {
  readonly relation: RelationFile;
  readonly block: number;
  /** Undefined where the record holds no image of the page. */
  readonly image: PageImage | undefined;
  readonly data: Buffer;
}

export interface RecordParts {
  readonly blocks: readonly BlockReference[];
  readonly main: Buffer;
}

const HEADER_BYTES = 24;
const BLOCK_ID_MAX = 32;
const [SHORT_DATA, LONG_DATA, ORIGIN, TOP_LEVEL] = [255, 254, 253, 252];
const [HAS_IMAGE, SAME_RELATION] = [0x10, 0x80];
const HAS_HOLE = 0x01;

/** BKPIMAGE flags: one way to pack until 14, three since 15. */
function packingOf(info: number, major: number): ImagePacking {
  if (major < 15) return (info & 0x02) === 0 ? 'none' : 'pglz';
  if ((info & 0x04) !== 0) return 'pglz';
  if ((info & 0x08) !== 0) return 'lz4';
  return (info & 0x10) === 0 ? 'none' : 'zstd';
}

interface Header {
  relation: RelationFile;
  block: number;
  dataBytes: number;
  image: (Omit<PageImage, 'bytes'> & { readonly lengthBytes: number }) | undefined;
}

/** A record's blocks and its main data (xlogrecord.h; xlogreader.c, DecodeXLogRecord), of PostgreSQL 13 to 18. Throws RangeError for what is none. */
export function partsOf(record: Buffer, major: number): RecordParts {
  const headers: Header[] = [];
  let at = HEADER_BYTES;
  let mainBytes = 0;
  let payload = 0;
  while (at < record.length - payload) {
    const id = record[at]!;
    if (id === SHORT_DATA || id === LONG_DATA) {
      mainBytes = id === SHORT_DATA ? record.readUInt8(at + 1) : record.readUInt32LE(at + 1);
      at += id === SHORT_DATA ? 2 : 5;
      break;
    }
    if (id === ORIGIN || id === TOP_LEVEL) {
      at += id === ORIGIN ? 3 : 5;
      continue;
    }
    if (id > BLOCK_ID_MAX) throw new RangeError(`block ${id} in a record`);
    const { header, next } = readHeader(record, at, headers.at(-1)?.relation, major);
    headers.push(header);
    payload += header.dataBytes + (header.image?.lengthBytes ?? 0);
    at = next;
  }
  const blocks = headers.map(({ relation, block, dataBytes, image }): BlockReference => {
    const imageBytes = image?.lengthBytes ?? 0;
    const bytes = record.subarray(at, at + imageBytes);
    const data = record.subarray(at + imageBytes, at + imageBytes + dataBytes);
    at += imageBytes + dataBytes;
    return { relation, block, image: image && { ...image, bytes }, data };
  });
  return { blocks, main: record.subarray(record.length - mainBytes) };
}

function readHeader(
  record: Buffer,
  start: number,
  previous: RelationFile | undefined,
  major: number,
): { readonly header: Header; readonly next: number } {
  const flags = record.readUInt8(start + 1);
  const dataBytes = record.readUInt16LE(start + 2);
  let at = start + 4;
  let image: Header['image'];
  if ((flags & HAS_IMAGE) !== 0) {
    const lengthBytes = record.readUInt16LE(at);
    const holeOffset = record.readUInt16LE(at + 2);
    const info = record.readUInt8(at + 4);
    const packing = packingOf(info, major);
    at += 5;
    const hasHole = (info & HAS_HOLE) !== 0;
    const holeBytes = packing === 'none' ? WAL_PAGE_BYTES - lengthBytes : hasHole ? record.readUInt16LE(at) : 0;
    if (packing !== 'none' && hasHole) at += 2;
    image = { packing, holeOffset, holeBytes, lengthBytes };
  }
  let relation = previous;
  if ((flags & SAME_RELATION) === 0) {
    relation = { tablespace: record.readUInt32LE(at), database: record.readUInt32LE(at + 4), file: record.readUInt32LE(at + 8) };
    at += 12;
  }
  if (relation === undefined) throw new RangeError('the first block of a record names no relation');
  return { header: { relation, block: record.readUInt32LE(at), dataBytes, image }, next: at + 4 };
}
