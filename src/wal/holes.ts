import type { Lsn } from '../formats/wal-segment.ts';
import type { ArchivedSegment } from './contract.ts';

export interface Hole {
  readonly from: Lsn;
  readonly to: Lsn;
}

/** Segments that are missing between the segments of one timeline, which are sorted. Pure. */
export function holesOf(segments: readonly Pick<ArchivedSegment, 'startLsn' | 'endLsn'>[]): readonly Hole[] {
  return segments.flatMap(({ startLsn }, index) => {
    const before = segments[index - 1];
    return before !== undefined && before.endLsn < startLsn ? [{ from: before.endLsn, to: startLsn }] : [];
  });
}

/** Names that more than one file bears. Pure. */
export const disputedOf = (segments: readonly Pick<ArchivedSegment, 'name'>[]): readonly string[] => [
  ...new Set(segments.filter(({ name }, index) => segments.findIndex((other) => other.name === name) !== index).map(({ name }) => name)),
];
