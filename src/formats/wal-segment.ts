/** Whose WAL it is: segments of another system, timeline or size are never taken for it. */
export interface WalIdentity {
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** The oldest timeline that the WAL may be read from, where it led to this one by restores; default: this one. */
  readonly firstTimeline?: number;
  readonly segmentSizeBytes: number;
}

/** A position in the WAL: a byte address of 64 bits. */
export type Lsn = bigint;

/** Reads PostgreSQL's notation, two hexadecimal halves: '0/3000028'. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (!match) throw new RangeError(`not an LSN: '${text}'`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

export const formatLsn = (lsn: Lsn): string => `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase();

export const segmentOf = (lsn: Lsn, segmentSizeBytes: number): bigint => lsn / BigInt(segmentSizeBytes);

/** The segment that holds the byte before `lsn`: an end position on a boundary belongs to the segment it ends (XLByteToPrevSeg). */
export const lastSegmentOf = (end: Lsn, segmentSizeBytes: number): bigint => segmentOf(end - 1n, segmentSizeBytes);

/** A segment's file name (xlog_internal.h, XLogFileName): timeline, high and low part; the low part carries at 4 GiB, not at 0xFF. */
export function segmentName(timeline: number, segment: bigint, segmentSizeBytes: number): string {
  const perHigh = 0x1_0000_0000n / BigInt(segmentSizeBytes);
  return [BigInt(timeline), segment / perHigh, segment % perHigh].map((part) => part.toString(16).toUpperCase().padStart(8, '0')).join('');
}

/** What a segment's file name says; undefined for any other name. */
export function parseSegmentName(name: string, segmentSizeBytes: number): { timeline: number; segment: bigint } | undefined {
  const match = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/.exec(name);
  if (!match) return undefined;
  const [timeline, high, low] = [match[1], match[2], match[3]].map((part) => BigInt(`0x${part}`)) as [bigint, bigint, bigint];
  return { timeline: Number(timeline), segment: high * (0x1_0000_0000n / BigInt(segmentSizeBytes)) + low };
}

/** The timeline of a `0000000A.history` file; undefined for any other name. */
export const timelineOfHistory = (name: string): number | undefined =>
  /^[0-9A-F]{8}\.history$/.test(name) ? Number.parseInt(name.slice(0, 8), 16) : undefined;

/** Every segment number from `first` to `last`, both included. */
export const segmentRange = (first: bigint, last: bigint): bigint[] =>
  Array.from({ length: Number(last - first) + 1 }, (_, index) => first + BigInt(index));

export interface SegmentHeader {
  readonly magic: number;
  readonly timeline: number;
  readonly address: Lsn;
  readonly systemIdentifier: string;
  readonly segmentSizeBytes: number;
}

/** The long header on a segment's first page, 40 bytes, little-endian (xlog_internal.h, XLogLongPageHeaderData). */
export const LONG_HEADER_BYTES = 40;
/** The short header on its other pages, 24 bytes (XLogPageHeaderData, MAXALIGNed). */
export const SHORT_HEADER_BYTES = 24;
const XLP_LONG_HEADER = 0x0002;

/** Reads a segment's first bytes; undefined when they are no long page header (zeros, or a file that is no WAL). */
export function readSegmentHeader(page: Buffer): SegmentHeader | undefined {
  if (page.length < LONG_HEADER_BYTES) return undefined;
  if ((page.readUInt16LE(0) & 0xff00) !== 0xd100 || (page.readUInt16LE(2) & XLP_LONG_HEADER) === 0) return undefined;
  return {
    magic: page.readUInt16LE(0),
    timeline: page.readUInt32LE(4),
    address: page.readBigUInt64LE(8),
    systemIdentifier: page.readBigUInt64LE(24).toString(),
    segmentSizeBytes: page.readUInt32LE(32),
  };
}

/**
 * Whether a segment holds what its name says. A recycled file carries the name of a segment to come over the content of an old one, which
 * its page address gives away. The page's timeline may be lower than the name's, in the segment where a timeline forked.
 */
export function holdsSegment(
  header: SegmentHeader | undefined,
  expected: { timeline: number; segment: bigint; systemIdentifier: string; segmentSizeBytes: number },
): boolean {
  return (
    header !== undefined &&
    header.systemIdentifier === expected.systemIdentifier &&
    header.segmentSizeBytes === expected.segmentSizeBytes &&
    header.address === expected.segment * BigInt(expected.segmentSizeBytes) &&
    header.timeline <= expected.timeline
  );
}

/** WAL pages are 8 KiB in every build that is distributed (XLOG_BLCKSZ). */
export const WAL_PAGE_BYTES = 8192;

/** The bytes a record spans from `start` to its end, page headers in between counted in, rounded up to 8 as the next record's start is. */
export function recordEnd(start: Lsn, lengthBytes: number, segmentSizeBytes: number): Lsn {
  let end = start;
  for (let left = lengthBytes; left > 0; ) {
    const onPage = Number(end % BigInt(WAL_PAGE_BYTES));
    if (onPage === 0) end += BigInt(end % BigInt(segmentSizeBytes) === 0n ? LONG_HEADER_BYTES : SHORT_HEADER_BYTES);
    const room = WAL_PAGE_BYTES - Number(end % BigInt(WAL_PAGE_BYTES));
    const taken = Math.min(left, room);
    end += BigInt(taken);
    left -= taken;
  }
  return (end + 7n) & ~7n;
}
