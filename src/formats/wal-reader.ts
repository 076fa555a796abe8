import type { BytePath } from './byte-path.ts';
import { crc32c } from './crc32c.ts';
import { headerBytes, openPages, PAGE, type Pages, type WalSource } from './wal-pages.ts';
import { type Lsn, recordEnd, segmentOf, WAL_PAGE_BYTES, type WalIdentity } from './wal-segment.ts';

/** A WAL record whose checksum is right: its place, and the resource manager and operation that tell what it did. */
export interface WalRecord {
  readonly lsn: Lsn;
  readonly manager: number;
  /** The operation: the high four bits of the record's info. */
  readonly info: number;
  /** When a transaction committed; undefined for every other record. */
  readonly committedAt: Date | undefined;
  /** The transaction that wrote it; 0 where none did. */
  readonly xid: number;
  /** The whole record, for whoever looks into it (`mainDataOf`); only until `visit` returns. */
  readonly bytes: Buffer;
  /** Where the next record may begin: the LSN that this one gives to the pages it changes. */
  readonly end: Lsn;
  /** The magic number of the WAL page it begins on, which tells the major version (xlog_internal.h, XLOG_PAGE_MAGIC). */
  readonly magic: number;
}

export interface WalEnd {
  /** After the last record that is whole; equal to the start when there is none. */
  readonly end: Lsn;
  /** True when pages of the same run of WAL lie beyond the end, or its segment is cut off there: a record is damaged, or may be missing. */
  readonly broken: boolean;
  /** True when the segment is not there in which the next record must be: nobody can tell whether there was one. */
  readonly missing: boolean;
  /** The last record that is whole; undefined when there is none. */
  readonly last: { readonly lsn: Lsn; readonly crc: number } | undefined;
  readonly lastCommitAt: Date | undefined;
  /** True when a CREATE TABLESPACE is among the records: its replay makes a link to the very place it was made for. */
  readonly createsTablespaces: boolean;
}

const RECORD_HEADER_BYTES = 24;
const CRC_OFFSET = 20;
/** xlog_internal.h: the page goes on with a record of the page before, or gives up on one that was never finished. */
const FIRST_IS_CONTINUATION = 0x0001;
const FIRST_IS_OVERWRITE = 0x0008;
export const RM_XLOG = 0;
const XLOG_SWITCH = 0x40;
const XLOG_PARAMETER_CHANGE = 0x60;
const WAL_LEVEL_AT = 20; // xl_parameter_change: five integers stand before wal_level, in which 0 is minimal.
export const RM_XACT = 1;
const RM_TABLESPACE = 5;
const TABLESPACE_CREATE = 0x00;
const XACT_OPERATION_MASK = 0x70;
const xactCommits = new Set([0x00, 0x30]);
const RECORD_LENGTH_MAX = 1024 * 1024 * 1024;

type Visit = (record: WalRecord) => boolean;
const all: Visit = () => true;

/**
 * Reads record after record from `start`, which must be where a record or a page begins, as the server does in recovery (xlogreader.c): until
 * one is cut short, has a wrong checksum or does not follow its predecessor. `visit` may end it early by answering false. Of several
 * directories the first that holds a segment is read.
 */
export async function readRecords(
  source: WalSource,
  identity: WalIdentity,
  start: Lsn,
  signal: AbortSignal,
  visit: Visit = all,
): Promise<Omit<WalEnd, 'broken'>> {
  const pages = openPages(source, identity);
  try {
    return await recordsOf(pages, identity, start, signal, visit);
  } finally {
    await pages.close();
  }
}

/** The same, and whether anything lies beyond the end, for which the rest of that segment is read. Whoever ends it early asks for no more. */
export async function readWal(
  source: WalSource,
  identity: WalIdentity,
  start: Lsn,
  signal: AbortSignal,
  visit: Visit = all,
): Promise<WalEnd> {
  const pages = openPages(source, identity);
  try {
    const { isEnough, ...read } = await recordsOf(pages, identity, start, signal, visit);
    return { ...read, broken: !isEnough && (await hasPagesBeyond(pages, read.end, identity)) };
  } finally {
    await pages.close();
  }
}

async function recordsOf(
  pages: Pages,
  identity: WalIdentity,
  start: Lsn,
  signal: AbortSignal,
  visit: Visit,
): Promise<Omit<WalEnd, 'broken'> & { readonly isEnough: boolean }> {
  let [position, end, previous] = [start, start, undefined as Lsn | undefined];
  let lastCommitAt: Date | undefined;
  let last: WalEnd['last'];
  let createsTablespaces = false;
  for (;;) {
    signal.throwIfAborted();
    const found = await readRecord(pages, position);
    if (found === undefined) break;
    if ('skipTo' in found) {
      position = found.skipTo; // Its server crashed within this record and said so when it went on.
      previous = undefined;
      continue;
    }
    if (!isSound(found.bytes, previous)) break;
    const record = describe(found);
    [previous, end] = [found.lsn, found.next];
    last = { lsn: found.lsn, crc: crcOf(found.bytes) };
    lastCommitAt = record.committedAt ?? lastCommitAt;
    createsTablespaces ||= record.manager === RM_TABLESPACE && record.info === TABLESPACE_CREATE;
    const size = BigInt(identity.segmentSizeBytes);
    const switched = record.manager === RM_XLOG && record.info === XLOG_SWITCH;
    position = switched ? (segmentOf(end - 1n, identity.segmentSizeBytes) + 1n) * size : end;
    if (switched) end = position;
    if (!visit(record)) return { end, last, lastCommitAt, createsTablespaces, missing: false, isEnough: true };
  }
  return { end, last, lastCommitAt, createsTablespaces, missing: pages.lacked(), isEnough: false };
}

/**
 * Where the first record of a segment begins: behind what its first page goes on with from the segment before. Undefined where the segment is
 * not there, or holds nothing but the middle of one record.
 */
export async function firstRecordOf(
  directory: BytePath,
  identity: WalIdentity,
  segment: bigint,
  signal: AbortSignal,
): Promise<Lsn | undefined> {
  signal.throwIfAborted();
  const pages = openPages([directory], identity);
  try {
    const address = segment * BigInt(identity.segmentSizeBytes);
    const page = await pages.at(address);
    if (!page) return undefined;
    if ((page.readUInt16LE(2) & FIRST_IS_CONTINUATION) === 0) return address;
    const start = recordEnd(address + BigInt(headerBytes(page)), page.readUInt32LE(16), identity.segmentSizeBytes);
    return segmentOf(start, identity.segmentSizeBytes) === segment ? start : undefined;
  } finally {
    await pages.close();
  }
}

interface Found {
  readonly lsn: Lsn;
  readonly bytes: Buffer;
  readonly next: Lsn;
  readonly magic: number;
}

/** The record at `position`, put together across pages; undefined where WAL ends. */
async function readRecord(pages: Pages, at: Lsn): Promise<Found | { skipTo: Lsn } | undefined> {
  let address = at - (at % PAGE);
  let page = await pages.at(address);
  if (!page) return undefined;
  const lsn = at % PAGE === 0n ? at + BigInt(headerBytes(page)) : at;
  if (at % PAGE === 0n && (page.readUInt16LE(2) & FIRST_IS_CONTINUATION) !== 0) return undefined;
  let offset = Number(lsn % PAGE);
  const magic = page.readUInt16LE(0);
  const length = page.readUInt32LE(offset); // Records begin at multiples of 8, so the length is never cut.
  if (length < RECORD_HEADER_BYTES || length > RECORD_LENGTH_MAX) return undefined;
  const parts: Buffer[] = [];
  for (let left = length; ; ) {
    const part = page.subarray(offset, Math.min(offset + left, WAL_PAGE_BYTES));
    if (part.length === length) return { lsn, bytes: part, next: (address + BigInt(offset + length) + 7n) & ~7n, magic };
    parts.push(Buffer.from(part)); // The next page may take its place in memory.
    left -= part.length;
    if (left === 0) return { lsn, bytes: Buffer.concat(parts), next: (address + BigInt(offset + part.length) + 7n) & ~7n, magic };
    address += PAGE;
    page = await pages.at(address);
    if (!page) return undefined;
    const flags = page.readUInt16LE(2);
    if ((flags & FIRST_IS_OVERWRITE) !== 0) return { skipTo: address };
    if ((flags & FIRST_IS_CONTINUATION) === 0 || page.readUInt32LE(16) !== left) return undefined;
    offset = headerBytes(page);
  }
}

/** The checksum that a whole record bears. */
export const crcOf = (bytes: Buffer): number => bytes.readUInt32LE(CRC_OFFSET);

/** xlogreader.c, ValidXLogRecord and ValidXLogRecordHeader: the checksum covers the data first, then the header up to itself. */
function isSound(bytes: Buffer, previous: Lsn | undefined): boolean {
  if (previous !== undefined && bytes.readBigUInt64LE(8) !== previous) return false;
  return crc32c(bytes.subarray(0, CRC_OFFSET), crc32c(bytes.subarray(RECORD_HEADER_BYTES))) === crcOf(bytes);
}

function describe({ lsn, bytes, next: end, magic }: Found): WalRecord {
  const [info, manager] = [bytes.readUInt8(16) & 0xf0, bytes.readUInt8(17)];
  const commits = manager === RM_XACT && xactCommits.has(info & XACT_OPERATION_MASK);
  return { lsn, manager, info, committedAt: commits ? commitTime(bytes) : undefined, xid: bytes.readUInt32LE(4), bytes, end, magic };
}

/** The main data of a record without blocks, which stands at its end; before it stand the headers of xlogrecord.h. */
export function mainDataOf(bytes: Buffer): Buffer {
  let at = RECORD_HEADER_BYTES;
  if (bytes[at] === 253) at += 3; // Replication origin.
  if (bytes[at] === 252) at += 5; // Top-level transaction.
  const length = bytes[at] === 255 ? bytes[at + 1]! : bytes[at] === 254 && bytes.length >= at + 5 ? bytes.readUInt32LE(at + 1) : 0;
  return length > bytes.length ? bytes.subarray(bytes.length) : bytes.subarray(bytes.length - length);
}

/** A commit's main data begins with its time in microseconds since 2000 (xact.h). */
function commitTime(bytes: Buffer): Date | undefined {
  const data = mainDataOf(bytes);
  return data.length < 8 ? undefined : new Date(Number(data.readBigInt64LE(0) / 1000n) + Date.UTC(2000, 0, 1));
}

/** The server goes on with wal_level = minimal: from here on the WAL does not hold all that was written. */
export function beginsMinimal({ manager, info, bytes }: WalRecord): boolean {
  if (manager !== RM_XLOG || info !== XLOG_PARAMETER_CHANGE) return false;
  const data = mainDataOf(bytes);
  return data.length >= WAL_LEVEL_AT + 4 && data.readInt32LE(WAL_LEVEL_AT) === 0;
}

/** A page past the end that carries the right address was written by the same run: what should lead to it is damaged. */
async function hasPagesBeyond(pages: Pages, end: Lsn, { segmentSizeBytes }: WalIdentity): Promise<boolean> {
  const size = BigInt(segmentSizeBytes);
  const stop = (segmentOf(end, segmentSizeBytes) + 1n) * size;
  const next = end - (end % PAGE) + PAGE;
  if (next < stop && (await pages.isCutBefore(next))) return true;
  for (let address = next; address < stop; address += PAGE) {
    if (await pages.at(address)) return true;
    if (pages.lacked()) return false; // A segment that is not there holds none of its two thousand pages.
  }
  return false;
}
