import { type Lsn, segmentOf } from '../formats/wal-segment.ts';
import type { ArchivedSegment, ArchivedTimeline } from './contract.ts';

/** A base backup as the archive sees it: where the WAL begins that it needs. */
export interface NeedsWal {
  readonly label: string;
  readonly timeline: number;
  readonly startLsn: Lsn;
  /** One of damaged pages needs none: nothing is rolled forward from it unasked. */
  readonly isGood: boolean;
}

/** A copy elsewhere that nothing may expire before: all up to there is in it. */
export interface AwaitedWal {
  readonly timeline: number;
  readonly lsn: Lsn;
}

export interface SegmentFacts {
  readonly segment: ArchivedSegment;
  readonly segmentSizeBytes: number;
  /** Of this system, good ones. */
  readonly backups: readonly NeedsWal[];
  /** Of the segment's timeline, oldest first. */
  readonly ancestors: ReadonlyMap<number, Lsn>;
  /** Several files bear its name. */
  readonly isDisputed: boolean;
  readonly awaited: readonly AwaitedWal[];
  /** Labels of base backups that are there, and of which nobody knows what they need. */
  readonly unread: readonly string[];
}

interface Row {
  readonly id: string;
  readonly when: (facts: SegmentFacts) => boolean;
  readonly then: 'keep' | 'remove';
  readonly words: string;
}

/** Its WAL goes on from that backup: on its timeline from where it begins, on a later one from the fork on. */
const serves = ({ segment, segmentSizeBytes, ancestors }: SegmentFacts, backup: NeedsWal): boolean => {
  if (backup.timeline === segment.timeline)
    return segmentOf(segment.startLsn, segmentSizeBytes) >= segmentOf(backup.startLsn, segmentSizeBytes);
  const left = ancestors.get(backup.timeline);
  return left !== undefined && left >= backup.startLsn;
};

const isAhead = (segment: ArchivedSegment, { timeline, lsn }: AwaitedWal): boolean =>
  segment.timeline > timeline || (segment.timeline === timeline && segment.endLsn > lsn);

/** First match wins. WAL is of use with a base backup from before it; what lies before every backup is of none. */
export const segmentRows: readonly Row[] = [
  {
    id: 'wal-disputed',
    when: ({ isDisputed }) => isDisputed,
    then: 'keep',
    words: 'two different segments have this name, and a person must choose',
  },
  {
    id: 'wal-without-backup',
    when: ({ backups }) => backups.length === 0,
    then: 'keep',
    words: 'there is no good base backup yet, so no WAL expires',
  },
  { id: 'wal-tail', when: ({ segment }) => segment.kind === 'tail', then: 'keep', words: 'it is the end of its timeline' },
  {
    id: 'wal-of-backup',
    when: (facts) => facts.backups.some((backup) => serves(facts, backup)),
    then: 'keep',
    words: 'a base backup is rolled forward with it',
  },
  {
    id: 'wal-awaits-its-copy',
    when: ({ segment, awaited }) => awaited.some((copy) => isAhead(segment, copy)),
    then: 'keep',
    words: 'a copy elsewhere does not have it yet, and without it could not be rolled forward',
  },
  {
    id: 'wal-of-unread-backup',
    when: ({ unread }) => unread.length > 0,
    then: 'keep',
    words: 'the record of a base backup cannot be read, so nobody knows which WAL it needs',
  },
  { id: 'wal-before-backups', when: () => true, then: 'remove', words: 'it lies before every good base backup' },
];

export interface SegmentDecision {
  readonly segment: ArchivedSegment;
  readonly keep: boolean;
  readonly reason: string;
  readonly because: string;
}

/** Pure. What is kept of the archive, and why; histories always stay. */
export function planWalRetention(
  timelines: readonly ArchivedTimeline[],
  backups: readonly NeedsWal[],
  segmentSizeBytes: number,
  awaited: readonly AwaitedWal[] = [],
  unread: readonly string[] = [],
): SegmentDecision[] {
  const good = backups.filter(({ isGood }) => isGood);
  return timelines.flatMap(({ segments, history }) => {
    const ancestors = new Map(history.map(({ timeline, switchLsn }) => [timeline, switchLsn] as const));
    return segments.map((segment) => {
      const isDisputed = segments.some((other) => other !== segment && other.name === segment.name);
      const facts = { segment, segmentSizeBytes, backups: good, ancestors, isDisputed, awaited, unread };
      const { id, then, words } = segmentRows.find(({ when }) => when(facts))!; // The last row always matches.
      return { segment, keep: then === 'keep', reason: id, because: words };
    });
  });
}
