import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import type { ControlFile } from '../formats/control-file.ts';
import { readRecords, readWal } from '../formats/wal-reader.ts';
import {
  formatLsn,
  type Lsn,
  parseSegmentName,
  segmentName,
  segmentOf,
  segmentRange,
  WAL_PAGE_BYTES,
  type WalIdentity,
} from '../formats/wal-segment.ts';
import { isThatSegment, readFromPage, readFromSegment } from '../formats/wal-tip.ts';
import { type Finding, isOf } from './findings.ts';
import type { Reached } from './reached.ts';
import type { Walk } from './walk.ts';

/** WAL of this cluster that crash recovery cannot get to. */
export interface BehindGap {
  /** The first segment that is missing or damaged, as a path. */
  readonly path: string;
  /** Whole segments behind it: a server that goes on would write over them. */
  readonly segments: readonly string[];
  /** In the damaged segment: from this page on there is only what cannot be replayed; undefined where the segment itself is missing. */
  readonly staleFromBytes: number | undefined;
  /** Where recovery ends at the latest, and where that WAL does. */
  readonly from: Lsn;
  readonly end: Lsn;
  readonly commits: number;
  readonly firstAt: string | null;
  readonly lastAt: string | null;
}

export interface Gaps {
  readonly findings: readonly Finding[];
  readonly behind: BehindGap | undefined;
  /**
   * A segment that was made ready for later WAL is cut, or is there without the one before it: a server makes them whole, and in their row (xlog.c,
   * InstallXLogFileSegment). Somebody took segments away, perhaps with the end of the WAL.
   */
  readonly isTailTorn: boolean;
}

export const noGap: Gaps = { findings: [], behind: undefined, isTailTorn: false };

const RECORDS_MAX_BYTES = 24 * 1024 * 1024; // A fifth of a second; where there is more to replay the mark tells after the start.
const COUNTED_SEGMENTS_MAX = 64;

/**
 * Where crash recovery will stop although WAL of the same cluster lies behind: a segment that is gone, empty, short, or holds something else,
 * told by one read of each header; and a damaged record, where there is little to replay. WAL that ends by itself is no gap.
 */
export async function inspectGaps(
  dataDir: string,
  { entries }: Walk,
  control: ControlFile,
  mark: Reached | undefined,
  signal: AbortSignal,
): Promise<Gaps> {
  const reached = mark?.systemIdentifier === control.systemIdentifier ? mark : undefined; // One of another cluster says nothing.
  const { timeline, systemIdentifier, walSegmentSizeBytes: segmentSizeBytes, redoLsn } = control;
  const identity: WalIdentity = { timeline, systemIdentifier, segmentSizeBytes };
  const directory = fromText(join(dataDir, 'pg_wal'));
  const first = segmentOf(redoLsn, segmentSizeBytes);
  const nameOf = (segment: bigint): string => segmentName(timeline, segment, segmentSizeBytes);
  const newest = await newestOf(directory, entries, first, identity);
  if (newest === undefined) return noGap;
  const isTailTorn = isTorn(entries, newest, identity);
  const bad: bigint[] = [];
  for (const segment of segmentRange(first, newest)) {
    const name = nameOf(segment);
    const isWhole = entries.get(`pg_wal/${name}`)?.sizeBytes === segmentSizeBytes || segment === newest;
    if (!isWhole || !(await isThatSegment(directory, name, identity))) bad.push(segment);
  }
  const marked = reached?.timeline === timeline ? segmentOf(reached.lastRecordLsn, segmentSizeBytes) : newest;
  if (marked > newest) bad.push(newest + 1n); // Where there is much to replay nobody reads it all to see that.
  const broken = bad.length > 0 ? undefined : await firstBreak(directory, identity, { redoLsn, newest, reached }, signal);
  const at = bad[0] ?? (broken === undefined ? undefined : segmentOf(broken, segmentSizeBytes));
  if (at === undefined) return { ...noGap, isTailTorn };
  const later = newest > at ? segmentRange(at + 1n, newest).filter((segment) => !bad.includes(segment)) : [];
  const size = BigInt(segmentSizeBytes);
  const starts = [
    ...(broken === undefined ? [] : [nextPage(broken)]),
    ...later.slice(0, COUNTED_SEGMENTS_MAX).map((segment) => segment * size),
  ];
  const behind = await countBehind(directory, identity, starts, signal);
  const end = [behind.end, reached?.timeline === timeline ? reached.flushedLsn : 0n].reduce((a, b) => (a > b ? a : b));
  const path = `pg_wal/${nameOf(at)}`;
  return {
    isTailTorn,
    behind: {
      ...behind,
      from: broken ?? at * size,
      end,
      path,
      staleFromBytes:
        broken === undefined || segmentOf(nextPage(broken), segmentSizeBytes) !== at ? undefined : Number(nextPage(broken) % size),
      segments: later.map((segment) => `pg_wal/${nameOf(segment)}`),
    },
    findings: (bad.length > 0 ? bad : [at]).map((segment) => ({
      code: 'wal.gap',
      path: `pg_wal/${nameOf(segment)}`,
      evidence: `${whatIs(entries.get(`pg_wal/${nameOf(segment)}`)?.sizeBytes, broken, segmentSizeBytes)}, and the WAL goes on to ${formatLsn(end)}`,
      severity: 'certain',
      postgresSays: `redo done before ${formatLsn(end)}`,
    })),
  };
}

function whatIs(sizeBytes: number | undefined, broken: Lsn | undefined, segmentSizeBytes: number): string {
  if (broken !== undefined) return `there is no sound record at ${formatLsn(broken)}`;
  if (sizeBytes === undefined) return 'the segment is missing';
  return sizeBytes === segmentSizeBytes
    ? 'it does not hold this segment of this cluster'
    : `size ${sizeBytes}, expected ${segmentSizeBytes}`;
}

/** The newest segment on this timeline that holds what its name says; undefined where none does. */
async function newestOf(
  directory: ReturnType<typeof fromText>,
  entries: Walk['entries'],
  first: bigint,
  identity: WalIdentity,
): Promise<bigint | undefined> {
  for (const segment of segmentsFrom(entries, first, identity).reverse()) {
    if (await isThatSegment(directory, segmentName(identity.timeline, segment, identity.segmentSizeBytes), identity)) return segment;
  }
  return undefined;
}

/** Of this timeline, in rising order. */
const segmentsFrom = (entries: Walk['entries'], first: bigint, { timeline, segmentSizeBytes }: WalIdentity): bigint[] =>
  [...entries.keys()]
    .filter((path) => path.startsWith('pg_wal/'))
    .map((path) => parseSegmentName(path.slice('pg_wal/'.length), segmentSizeBytes))
    .flatMap((name) => (name !== undefined && name.timeline === timeline && name.segment >= first ? [name.segment] : []))
    .sort((a, b) => Number(a - b));

function isTorn(entries: Walk['entries'], newest: bigint, identity: WalIdentity): boolean {
  const { timeline, segmentSizeBytes } = identity;
  return segmentsFrom(entries, newest + 1n, identity).some(
    (segment, index) =>
      segment !== newest + 1n + BigInt(index) ||
      entries.get(`pg_wal/${segmentName(timeline, segment, segmentSizeBytes)}`)?.sizeBytes !== segmentSizeBytes,
  );
}

/** Where a record is damaged while later segments, or the mark, prove that there was more. Read twice: a server may be writing. */
async function firstBreak(
  directory: ReturnType<typeof fromText>,
  identity: WalIdentity,
  { redoLsn, newest, reached }: { redoLsn: Lsn; newest: bigint; reached: Reached | undefined },
  signal: AbortSignal,
): Promise<Lsn | undefined> {
  const newestBegins = newest * BigInt(identity.segmentSizeBytes);
  const isMarked = (end: Lsn): boolean => reached?.timeline === identity.timeline && reached.lastRecordLsn >= end;
  let left = RECORDS_MAX_BYTES;
  const { end, broken } = await readWal(directory, identity, redoLsn, signal, ({ bytes }) => {
    left -= bytes.length;
    return left > 0;
  });
  if (left <= 0 && !(isMarked(redoLsn) && (await lacksMark(directory, identity, reached, signal)))) return undefined;
  if (left <= 0) {
    const all = await readWal(directory, identity, redoLsn, signal);
    return isMarked(all.end) ? all.end : undefined;
  }
  if (end >= newestBegins && !isMarked(end) && (!broken || (await countBehind(directory, identity, [nextPage(end)], signal)).commits === 0))
    return undefined;
  const again = await readWal(directory, identity, redoLsn, signal);
  if (again.end !== end) return undefined;
  if (isMarked(end) || end >= newestBegins || segmentOf(end, identity.segmentSizeBytes) + 1n < newest) return end;
  // A record that was being written into the newest segment at the crash ends there too; a sound one behind it would not be there then.
  return (await readFromSegment(directory, newest, identity, signal))?.last === undefined ? undefined : end;
}

/** The record that the mark names is not where it was: one read of one page. */
async function lacksMark(
  directory: ReturnType<typeof fromText>,
  identity: WalIdentity,
  reached: Reached | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  if (reached?.lastRecordCrc === undefined || reached.timeline !== identity.timeline) return false;
  const { last } = await readRecords(directory, identity, reached.lastRecordLsn, signal, () => false);
  return last?.lsn !== reached.lastRecordLsn || last.crc !== reached.lastRecordCrc;
}

const nextPage = (lsn: Lsn): Lsn => lsn - (lsn % BigInt(WAL_PAGE_BYTES)) + BigInt(WAL_PAGE_BYTES);

/** The WAL that can be read behind a gap: from these pages on, each up to where its run ends. */
async function countBehind(
  directory: ReturnType<typeof fromText>,
  identity: WalIdentity,
  pages: readonly Lsn[],
  signal: AbortSignal,
): Promise<Pick<BehindGap, 'end' | 'commits' | 'firstAt' | 'lastAt'>> {
  let [end, commits] = [0n, 0];
  const times: Date[] = [];
  for (const page of pages) {
    if (page < end) continue; // Read already, with the one before.
    const read = await readFromPage(directory, page, identity, signal, ({ committedAt }) => {
      if (committedAt) {
        commits += 1;
        times.splice(Math.min(times.length, 1), 1, committedAt);
      }
      return true;
    });
    if (read?.last && read.end > end) end = read.end;
  }
  return { end, commits, firstAt: times[0]?.toISOString() ?? null, lastAt: times.at(-1)?.toISOString() ?? null };
}

/** It begins from a backup’s label or goes on as another server’s copy: its files are of several moments until it has come to its end. */
export const recovers = ({ entries }: Pick<Walk, 'entries'>): boolean => asksToRecover((path) => entries.has(path));
export const asksToRecover = (saw: (path: string) => boolean): boolean => ['backup_label', 'recovery.signal', 'standby.signal'].some(saw);

/** Only a crashed server replays WAL from its own pg_wal alone. */
export const mayHaveGap = ({ state }: ControlFile, follows: boolean, { entries }: Walk, findings: readonly Finding[]): boolean =>
  !state.startsWith('shut down') &&
  !follows &&
  !recovers({ entries }) &&
  !findings.some(({ code }) => isOf(code, 'wal', 'wal-directory', 'wal-link'));
