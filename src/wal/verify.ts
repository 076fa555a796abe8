import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import { formatLsn, type Lsn, segmentOf } from '../formats/wal-segment.ts';
import { readFromSegment } from '../formats/wal-tip.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import type { Logger } from '../kernel/machine.ts';
import type { ArchivedSegment, ArchivedTimeline, WalArchive } from './contract.ts';
import { disputedOf, holesOf } from './holes.ts';

/** The defects of an archive; ids are a contract, fields are only ever added. */
export const walProblems = {
  'wal-segment-damaged': 'a file does not hold what its name says',
  'wal-segments-missing': 'segments between two others are not there',
  'wal-segment-disputed': 'two different segments have one name',
  'wal-records-broken': 'records do not follow each other',
  'wal-history-missing': 'the history of a later timeline is not there, so nothing can be recovered along it',
} as const;

export interface WalProblem {
  readonly id: keyof typeof walProblems;
  readonly timeline: number;
  /** Where, as PostgreSQL prints it. */
  readonly lsn: string | null;
  readonly evidence: string;
}

export interface WalVerification {
  readonly dir: string;
  readonly segments: number;
  readonly plainBytes: number;
  readonly problems: readonly WalProblem[];
}

/** A part of the WAL: from where to where, on which timeline and its ancestors. */
export interface WalRange {
  readonly timeline: number;
  /** Undefined: from the beginning. */
  readonly from: Lsn | undefined;
  /** Undefined: to the end. */
  readonly to: Lsn | undefined;
}

/** Reads every byte of the archive, or of a part of it: hashes, the checksum of each record and that it follows its predecessor, holes, histories. */
export async function verifyWal(
  archive: WalArchive,
  range: WalRange | undefined,
  log: Logger,
  signal: AbortSignal,
): Promise<WalVerification> {
  const all = await archive.timelines(signal);
  const timelines = range === undefined ? all : within(range, all);
  const total = timelines.flatMap(({ segments }) => segments).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const problems: WalProblem[] = range === undefined ? [] : uncoveredIn(range, timelines);
  let done = 0;
  const read = (segment: ArchivedSegment): void => {
    done += segment.sizeBytes;
    log.progress('wal.verify', `verifying timeline ${segment.timeline}`, { done, total, unit: 'bytes' });
  };
  for (const timeline of timelines) {
    problems.push(...shapeProblems(timeline));
    problems.push(...(await contentProblems(archive, timeline, read, signal)));
  }
  return { dir: archive.dir, segments: timelines.flatMap(({ segments }) => segments).length, plainBytes: total, problems };
}

/** The segments that hold some of it, of that timeline and of those that it forked off. Pure. */
export function within({ timeline, from, to }: WalRange, timelines: readonly ArchivedTimeline[]): readonly ArchivedTimeline[] {
  const history = timelines.find(({ id }) => id === timeline)?.history ?? [];
  return timelines.flatMap((one) => {
    const left = one.id === timeline ? undefined : history.find((fork) => fork.timeline === one.id)?.switchLsn;
    if (one.id !== timeline && left === undefined) return [];
    const isIn = ({ startLsn, endLsn }: ArchivedSegment): boolean =>
      (from === undefined || endLsn > from) && (to === undefined || startLsn < to) && (left === undefined || startLsn < left);
    const segments = one.segments.filter(isIn);
    return segments.length === 0 ? [] : [{ ...one, segments }];
  });
}

/** The parts of a range that no segment holds: at its ends, and where one timeline goes over into the next. Holes within one are told by their own. Pure. */
export function uncoveredIn({ timeline, from, to }: WalRange, timelines: readonly ArchivedTimeline[]): WalProblem[] {
  const missing = (begin: Lsn, end: Lsn): WalProblem => ({
    id: 'wal-segments-missing',
    timeline,
    lsn: formatLsn(begin),
    evidence: `nothing from LSN ${formatLsn(begin)} to ${formatLsn(end)}`,
  });
  const spans = timelines
    .map(({ segments }) => ({ start: segments[0]!.startLsn, end: segments.at(-1)!.endLsn }))
    .sort((a, b) => (a.start < b.start ? -1 : 1));
  const problems: WalProblem[] = [];
  let reached = from ?? spans[0]?.start ?? 0n;
  for (const { start, end } of spans) {
    if (start > reached) problems.push(missing(reached, start));
    if (end > reached) reached = end;
  }
  return to !== undefined && reached < to ? [...problems, missing(reached, to)] : problems;
}

/** The defects that the names alone tell. Pure. */
export function shapeProblems({ id, history, segments }: ArchivedTimeline): WalProblem[] {
  const holes = holesOf(segments).map(
    ({ from, to }): WalProblem => ({
      id: 'wal-segments-missing',
      timeline: id,
      lsn: formatLsn(from),
      evidence: `nothing from LSN ${formatLsn(from)} to ${formatLsn(to)}`,
    }),
  );
  const disputed = disputedOf(segments).map(
    (name): WalProblem => ({ id: 'wal-segment-disputed', timeline: id, lsn: null, evidence: `several files hold ${name}` }),
  );
  const without = id > 1 && history.length === 0;
  return [
    ...holes,
    ...disputed,
    ...(without ? [{ id: 'wal-history-missing', timeline: id, lsn: null, evidence: `timeline ${id} has no history file` } as const] : []),
  ];
}

async function contentProblems(
  archive: WalArchive,
  { id, segments }: ArchivedTimeline,
  read: (segment: ArchivedSegment) => void,
  signal: AbortSignal,
): Promise<WalProblem[]> {
  const [size, problems] = [await archive.segmentSizeBytes(), [] as WalProblem[]];
  const directory = await mkdtemp(join(tmpdir(), 'dbkit-verify-'));
  try {
    let before: ArchivedSegment | undefined;
    for (const segment of segments) {
      const plain = await archive.read(segment, signal).catch((cause: unknown) => {
        if (!(cause instanceof DbkitError)) throw cause;
        problems.push({ id: 'wal-segment-damaged', timeline: id, lsn: formatLsn(segment.startLsn), evidence: wordsOf(cause) });
        return undefined;
      });
      read(segment);
      if (plain) await writeFile(join(directory, segment.name), plain, { mode: 0o600 });
      if (before)
        problems.push(
          ...(await recordProblems(directory, before, { archive, size: size!, goesOn: before.endLsn === segment.startLsn }, signal)),
        );
      if (before) await rm(join(directory, before.name), { force: true });
      before = plain ? segment : undefined;
    }
    if (before) problems.push(...(await recordProblems(directory, before, { archive, size: size!, goesOn: false }, signal)));
    return problems;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Every record that begins in the segment; the last one may end in the next. Where that is not here the end cannot be broken. */
async function recordProblems(
  directory: string,
  { name, timeline, startLsn, endLsn, kind }: ArchivedSegment,
  { archive, size, goesOn }: { readonly archive: WalArchive; readonly size: number; readonly goesOn: boolean },
  signal: AbortSignal,
): Promise<WalProblem[]> {
  const identity = { systemIdentifier: archive.systemIdentifier, timeline, segmentSizeBytes: size };
  const read = await readFromSegment(fromText(directory), segmentOf(startLsn, size), identity, signal, ({ lsn }) => lsn < endLsn);
  if (read === undefined || read.end >= endLsn) return [];
  if (kind === 'tail' || (!goesOn && !read.broken)) return [];
  return [
    { id: 'wal-records-broken', timeline, lsn: formatLsn(read.end), evidence: `no sound record at LSN ${formatLsn(read.end)} in ${name}` },
  ];
}
