import type { Fork } from '../../formats/timeline-history.ts';
import { type Lsn, parseLsn } from '../../formats/wal-segment.ts';
import type { ArchivedSegment, ArchivedTimeline } from '../../wal/contract.ts';
import { startOf, timelineFolder } from '../../wal/layout.ts';
import { type NeedsWal, planWalRetention } from '../../wal/retention.ts';
import type { CopySummary } from './place.ts';

/** A whole segment in a copy: its timeline, its name in the archive, the segment, and the digits of its hash. */
export const WHOLE = /^wal\/([0-9A-F]{8})\/(([0-9A-F]{24})-([0-9a-f]{16})\.zst)(\.age)?$/;

/** Where the WAL begins that a base backup needs, as its summary says. */
export type NeededWal = NonNullable<CopySummary['wal']>;

/** The base backups that a copy keeps, as its WAL sees them; undefined where one does not say what it needs: then all WAL is needed. */
export function needsIn(
  summaries: readonly Pick<CopySummary, 'label' | 'wal'>[],
): { readonly needs: readonly NeedsWal[]; readonly segmentSizeBytes: number } | undefined {
  const base = summaries.filter(({ label }) => label.startsWith('data_'));
  const said = base.flatMap(({ label, wal }) => (wal === undefined ? [] : [{ label, ...wal }]));
  const [first] = said;
  if (first === undefined || said.length < base.length) return undefined;
  if (said.some(({ segmentSizeBytes }) => segmentSizeBytes !== first.segmentSizeBytes)) return undefined;
  return {
    needs: said.map(({ label, timeline, startLsn }) => ({ label, timeline, startLsn: parseLsn(startLsn), isGood: true })),
    segmentSizeBytes: first.segmentSizeBytes,
  };
}

const FOREVER: Lsn = 0xffff_ffff_ffff_ffffn;

/**
 * Keys of whole segments, oldest first, that lie before every base backup of the copy. Where a timeline forked off is taken from `histories`; of one that
 * is not there everything is needed by every backup of an earlier timeline. Pure.
 */
export function needlessWal(
  keys: readonly string[],
  summaries: readonly Pick<CopySummary, 'label' | 'wal'>[],
  histories: ReadonlyMap<number, readonly Fork[]>,
): readonly string[] {
  const known = needsIn(summaries);
  if (known === undefined) return [];
  const { needs, segmentSizeBytes } = known;
  const timelines = new Map<number, ArchivedSegment[]>();
  for (const key of [...keys].sort()) {
    const [, folder, , name, sha16] = WHOLE.exec(key) ?? [];
    const place = name === undefined ? undefined : startOf(name, segmentSizeBytes);
    if (name === undefined || sha16 === undefined || place === undefined || timelineFolder(place.timeline) !== folder) continue;
    const segment: ArchivedSegment = {
      ...{ name, sha16, ...place, path: key, kind: 'whole', sizeBytes: segmentSizeBytes, storedBytes: 0 },
      endLsn: place.startLsn + BigInt(segmentSizeBytes),
    };
    timelines.set(place.timeline, [...(timelines.get(place.timeline) ?? []), segment]);
  }
  const archived = [...timelines].map(([id, segments]): ArchivedTimeline => ({ id, segments, history: historyOf(id, needs, histories) }));
  return planWalRetention(archived, needs, segmentSizeBytes)
    .filter(({ keep }) => !keep)
    .map(({ segment }) => segment.path);
}

function historyOf(id: number, needs: readonly NeedsWal[], histories: ReadonlyMap<number, readonly Fork[]>): readonly Fork[] {
  const known = histories.get(id) ?? [];
  if (id === 1 || known.length > 0) return known;
  return [...new Set(needs.map(({ timeline }) => timeline))]
    .filter((timeline) => timeline < id)
    .map((timeline) => ({ timeline, switchLsn: FOREVER, reason: 'not known' }));
}
