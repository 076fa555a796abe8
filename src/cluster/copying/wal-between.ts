import type { Fork } from '../../formats/timeline-history.ts';
import { type Lsn, segmentName, segmentOf } from '../../formats/wal-segment.ts';

/** A timeline with its ancestors, oldest first. */
export interface Way {
  readonly timeline: number;
  readonly history: readonly Fork[];
}

/**
 * True where each segment from the one that holds `from` up to, and without, the one that holds `to` is among `names`, on one of the timelines
 * that the server would look on (xlogrecovery.c, XLogFileReadAnyTLI). Pure.
 */
export function hasWalBetween(
  { timeline, history }: Way,
  names: ReadonlySet<string>,
  [from, to]: readonly [Lsn, Lsn],
  size: number,
): boolean {
  const spans = [...history, { timeline, switchLsn: undefined }].map(({ timeline: id, switchLsn }, index) => ({
    id,
    first: segmentOf(history[index - 1]?.switchLsn ?? 0n, size),
    last: switchLsn === undefined ? undefined : segmentOf(switchLsn - 1n, size),
  }));
  for (let segment = segmentOf(from, size); segment < segmentOf(to, size); segment += 1n) {
    const isThere = spans.some(
      ({ id, first, last }) => segment >= first && (last === undefined || segment <= last) && names.has(segmentName(id, segment, size)),
    );
    if (!isThere) return false;
  }
  return true;
}
