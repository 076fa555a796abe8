import { type FileHandle, open } from 'node:fs/promises';
import { errnoOf } from '../kernel/errors.ts';
import { type BytePath, fromText, join, toBytes } from './byte-path.ts';
import { readRecords, readWal, type WalEnd } from './wal-reader.ts';
import {
  holdsSegment,
  LONG_HEADER_BYTES,
  type Lsn,
  parseSegmentName,
  readSegmentHeader,
  recordEnd,
  SHORT_HEADER_BYTES,
  segmentName,
  segmentOf,
  WAL_PAGE_BYTES,
  type WalIdentity,
} from './wal-segment.ts';

/** Where a run of WAL ends: after a record whose checksum is right and which follows its predecessor. */
export interface WalTip {
  readonly timeline: number;
  /** The file's name. */
  readonly segment: string;
  readonly end: Lsn;
  readonly last: { readonly lsn: Lsn; readonly crc: number };
}

type Cluster = Omit<WalIdentity, 'timeline'>;

/** Names of segments, newest first: the highest timeline, then the highest number. */
export const newestSegments = (names: readonly string[], segmentSizeBytes: number): string[] =>
  names
    .filter((name) => parseSegmentName(name, segmentSizeBytes) !== undefined)
    .sort()
    .reverse();

/** True if the file holds the segment that its name says: a recycled one waits with the content of an old one. */
export async function isThatSegment(directory: BytePath, name: string, cluster: Cluster): Promise<boolean> {
  const parsed = parseSegmentName(name, cluster.segmentSizeBytes);
  const head = parsed && (await withSegment(directory, name, (file) => bytesAt(file, 0, LONG_HEADER_BYTES)));
  return head !== undefined && parsed !== undefined && holdsSegment(readSegmentHeader(head), { ...cluster, ...parsed });
}

/** A record that is known to be of this run of WAL. */
export interface Anchor {
  readonly lsn: Lsn;
  readonly timeline: number;
  /**
   * Up to this segment there may be pages of an abandoned future behind the end, with the right addresses: a recovery that ended early leaves
   * them. There only reading on from the anchor tells.
   */
  readonly staleUpTo: bigint;
}

/**
 * The end of the WAL in `directory`: read on from the anchor while that is near, else found without reading it all: the newest segment that
 * holds what its name says, in it the last page that was written (pages follow each other, so halving finds it), and from a few pages before it
 * record after record. Undefined where there is none.
 */
export async function findTip(
  directory: BytePath,
  names: readonly string[],
  cluster: Cluster,
  anchor: Anchor | undefined,
  signal: AbortSignal,
): Promise<WalTip | undefined> {
  for (const name of newestSegments(names, cluster.segmentSizeBytes)) {
    if (!(await isThatSegment(directory, name, cluster))) continue;
    const { timeline, segment } = parseSegmentName(name, cluster.segmentSizeBytes)!;
    const near = anchor && timeline === anchor.timeline && segment <= nearestOf(anchor, cluster.segmentSizeBytes);
    const tip = (near ? await readOn(directory, anchor, cluster, signal) : undefined) ?? (await endIn(directory, name, cluster, signal));
    if (tip) return tip; // Else the record that fills this segment has not ended, or all of it is damaged: the one before tells.
  }
  return undefined;
}

function nearestOf({ lsn, staleUpTo }: Anchor, segmentSizeBytes: number): bigint {
  const next = segmentOf(lsn, segmentSizeBytes) + 1n;
  return staleUpTo > next ? staleUpTo : next;
}

async function readOn(directory: BytePath, { lsn, timeline }: Anchor, cluster: Cluster, signal: AbortSignal): Promise<WalTip | undefined> {
  const { end, last } = await readRecords(directory, { ...cluster, timeline }, lsn, signal);
  return (
    last && { timeline, segment: segmentName(timeline, segmentOf(end - 1n, cluster.segmentSizeBytes), cluster.segmentSizeBytes), end, last }
  );
}

const STEPS_BACK = [8, 64, Number.MAX_SAFE_INTEGER];

async function endIn(directory: BytePath, name: string, cluster: Cluster, signal: AbortSignal): Promise<WalTip | undefined> {
  const { timeline, segment } = parseSegmentName(name, cluster.segmentSizeBytes)!;
  const identity = { ...cluster, timeline };
  const begin = segment * BigInt(cluster.segmentSizeBytes);
  const newest = await withSegment(directory, name, (file) => lastPage(file, begin, identity));
  if (newest === undefined) return undefined;
  for (const back of STEPS_BACK) {
    const from = Math.max(0, newest - back);
    const start = await withSegment(directory, name, (file) => firstRecord(file, begin, from, cluster.segmentSizeBytes));
    const read = start === undefined ? undefined : await readRecords(directory, identity, start, signal);
    if (read?.last) return { timeline, segment: name, end: read.end, last: read.last };
    if (from === 0) return undefined;
  }
  return undefined;
}

/** Reads what is left of a run of WAL from the first record that begins in `segment`. Undefined where none begins there. */
export const readFromSegment = (
  directory: BytePath,
  segment: bigint,
  identity: WalIdentity,
  signal: AbortSignal,
  visit?: Parameters<typeof readWal>[4],
): Promise<WalEnd | undefined> => readFromPage(directory, segment * BigInt(identity.segmentSizeBytes), identity, signal, visit);

/** The same from the first record that begins on the page at `address` or behind it, in the same segment. */
export async function readFromPage(
  directory: BytePath,
  address: Lsn,
  identity: WalIdentity,
  signal: AbortSignal,
  visit?: Parameters<typeof readWal>[4],
): Promise<WalEnd | undefined> {
  const segment = segmentOf(address, identity.segmentSizeBytes);
  const begin = segment * BigInt(identity.segmentSizeBytes);
  const page = Number(address - begin) / WAL_PAGE_BYTES;
  const name = segmentName(identity.timeline, segment, identity.segmentSizeBytes);
  const start = await withSegment(directory, name, (file) => firstRecord(file, begin, page, identity.segmentSizeBytes));
  return start === undefined ? undefined : readWal(directory, identity, start, signal, visit);
}

async function withSegment<T>(directory: BytePath, name: string, work: (file: FileHandle) => Promise<T>): Promise<T | undefined> {
  const file = await open(toBytes(join(directory, fromText(name))), 'r').catch((thrown: unknown) => {
    if (errnoOf(thrown) !== 'ENOENT') throw thrown;
    return undefined; // Recycled under another name meanwhile.
  });
  if (!file) return undefined;
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

async function bytesAt(file: FileHandle, offset: number, length: number): Promise<Buffer | undefined> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
  return bytesRead === length ? buffer : undefined;
}

/** The number of the last page that belongs to this run; undefined where not even the first does. */
async function lastPage(file: FileHandle, begin: Lsn, { timeline, segmentSizeBytes }: WalIdentity): Promise<number | undefined> {
  const belongs = async (page: number): Promise<boolean> => {
    const head = await bytesAt(file, page * WAL_PAGE_BYTES, SHORT_HEADER_BYTES);
    if (!head || (head.readUInt16LE(0) & 0xff00) !== 0xd100) return false;
    return head.readBigUInt64LE(8) === begin + BigInt(page * WAL_PAGE_BYTES) && head.readUInt32LE(4) <= timeline;
  };
  if (!(await belongs(0))) return undefined;
  let [known, beyond] = [0, segmentSizeBytes / WAL_PAGE_BYTES];
  while (beyond - known > 1) {
    const middle = Math.floor((known + beyond) / 2);
    if (await belongs(middle)) known = middle;
    else beyond = middle;
  }
  return known;
}

/** Where the first record begins on or after a page: behind what its header says is left of the record before (XLogFindNextRecord). */
async function firstRecord(file: FileHandle, begin: Lsn, page: number, segmentSizeBytes: number): Promise<Lsn | undefined> {
  const head = await bytesAt(file, page * WAL_PAGE_BYTES, LONG_HEADER_BYTES);
  if (!head) return undefined;
  const [flags, left] = [head.readUInt16LE(2), head.readUInt32LE(16)];
  const address = begin + BigInt(page * WAL_PAGE_BYTES);
  if ((head.readUInt16LE(0) & 0xff00) !== 0xd100 || head.readBigUInt64LE(8) !== address) return undefined;
  const start = address + BigInt((flags & 0x0002) === 0 ? SHORT_HEADER_BYTES : LONG_HEADER_BYTES);
  const goesOn = (flags & 0x0001) !== 0; // XLP_FIRST_IS_CONTRECORD
  const at = goesOn ? recordEnd(start, left, segmentSizeBytes) : start;
  return at < begin + BigInt(segmentSizeBytes) ? at : undefined;
}
