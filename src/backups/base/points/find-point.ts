import { formatLsn, type Lsn, lastSegmentOf, parseLsn, segmentOf, type WalIdentity } from '../../../formats/wal-segment.ts';
import { DbkitError } from '../../../kernel/errors.ts';
import { decide } from '../../../kernel/reasons.ts';
import { type Lineage, openLineage, type WalPlaces } from '../../../wal/lineage.ts';
import { formatMicros } from '../../../wal/moments/moment.ts';
import { type BackupRecord, endedAtMicros } from '../record.ts';
import { rollForwardStart } from '../roll-forward.ts';
import { type Followed, follow, type Stop } from './follow.ts';
import { type PointPlan, type PointRequest, toldOf } from './point.ts';
import { type ReachFacts, reachRows } from './reach.ts';
import { searchMoments } from './search.ts';

/** A backup that could lead to a timeline, where its files are. */
export interface Candidate {
  readonly record: BackupRecord;
  readonly path: string;
}

export interface FoundPoint {
  readonly plan: PointPlan;
  readonly record: BackupRecord;
  readonly lineage: Lineage;
  readonly followed: Followed;
  /** Segments to lay beside the backup's own, first and last. */
  readonly first: bigint;
  readonly last: bigint;
}

export interface PointNeeds {
  readonly places: WalPlaces;
  /** The timeline that the data is on now. */
  readonly currentTimeline: number;
  /** Good ones of this cluster, newest first. */
  readonly candidates: readonly Candidate[];
  readonly request: PointRequest;
}

/**
 * Chooses the base backup and the place in the WAL for a moment, having read every record on the way. Rejects with `recovery.refused` and the
 * nearest moments where none leads there, `wal.damaged` where a segment of the archive is damaged.
 */
export async function findPoint(needs: PointNeeds, signal: AbortSignal): Promise<FoundPoint> {
  const { places, request, currentTimeline } = needs;
  const lineage = await openLineage(places, request.timeline ?? currentTimeline, signal);
  const { systemIdentifier, segmentSizeBytes } = places;
  const identity = { systemIdentifier, segmentSizeBytes, timeline: lineage.timeline };
  const candidates = needs.candidates.filter(({ record }) => leadsTo(lineage, record));
  const blank = { backups: candidates.length, found: true, ambiguous: false, served: false, isEnd: false, beforeBackups: false };
  const facts: ReachFacts = { ...blank, gap: false, minimal: false };
  if (candidates.length === 0) throw await refusal(facts, needs, lineage, identity, undefined, signal);
  const stop = await stopOf(needs, lineage, identity, { candidates, facts }, signal);
  return choose(needs, lineage, identity, { candidates, facts, stop }, signal);
}

/** Its end is on the way: on that timeline, or on an ancestor before that was left. */
export function leadsTo({ followedUntil }: Lineage, { timeline, stopLsn, state }: BackupRecord): boolean {
  const until = followedUntil(timeline);
  return state !== 'damaged' && until !== null && (until === undefined || parseLsn(stopLsn) <= until);
}

interface Looked {
  readonly candidates: readonly Candidate[];
  readonly facts: ReachFacts;
}

async function stopOf(
  needs: PointNeeds,
  lineage: Lineage,
  identity: WalIdentity,
  { candidates, facts }: Looked,
  signal: AbortSignal,
): Promise<Stop> {
  const { to, value, exclusive } = needs.request;
  if (to === 'latest') return { kind: 'end' };
  if (to === 'time') return { kind: 'time', atMicros: BigInt(value), inclusive: !exclusive };
  if (to === 'lsn') return { kind: 'lsn', lsn: parseLsn(value), inclusive: !exclusive };
  const beginnings = candidates.map(({ record, path }) => ({
    path,
    start: startOf(record),
    stop: parseLsn(record.stopLsn),
    major: record.pgVersion,
  }));
  const found = await searchMoments(lineage, identity, beginnings, needs.request, signal);
  const last = found.at(-1);
  if (last === undefined || (to === 'name' && found.length > 1))
    throw await refusal(
      { ...facts, found: last !== undefined, ambiguous: found.length > 1 },
      needs,
      lineage,
      identity,
      candidates[0],
      signal,
    );
  return { kind: 'lsn', lsn: last.lsn, inclusive: to !== 'before' && !exclusive };
}

/** A hot backup begins at its redo pointer, a cold one at its checkpoint. */
export const startOf = ({ mode, startLsn, checkpointLsn }: BackupRecord): Lsn => parseLsn(mode === 'cold' ? checkpointLsn : startLsn);

/** From the newest backup back: the first whose end is before the moment serves it. */
async function choose(
  needs: PointNeeds,
  lineage: Lineage,
  identity: WalIdentity,
  { candidates, facts, stop: asked }: Looked & { readonly stop: Stop },
  signal: AbortSignal,
): Promise<FoundPoint> {
  let stop = asked;
  for (const [index, { record }] of candidates.entries()) {
    const followed = await follow(lineage, identity, { start: startOf(record), stop, major: record.pgVersion }, signal);
    const { stopBefore, minimal } = followed;
    const backupEnd = parseLsn(record.stopLsn);
    const size = identity.segmentSizeBytes;
    const isEnd = stopBefore === undefined && !minimal && reachesEnd(stop, followed);
    const gap = stopBefore === undefined && lineage.nextAfter(segmentOf(followed.end, size)) !== undefined; // The segment that begins at the end is no gap.
    const isBefore = (stopBefore !== undefined && stopBefore < backupEnd) || isOlder(asked, followed, record);
    if (isBefore && index + 1 < candidates.length) {
      if (stopBefore !== undefined) stop = { kind: 'lsn', lsn: stopBefore, inclusive: false }; // Found: only an older backup is to be found yet.
      continue;
    }
    const reaches = followed.end >= backupEnd;
    const served = reaches && !isBefore && (stopBefore !== undefined || (isEnd && (asked.kind === 'end' || !gap)));
    const seen = { ...facts, served, isEnd, gap: gap || (index > 0 && stopBefore === undefined), minimal, beforeBackups: isBefore };
    const row = decide(reachRows, seen);
    if (row.then === 'refuse') throw await refusal(seen, needs, lineage, identity, candidates[0], signal);
    return found(needs, lineage, { record, followed, row, size }, signal);
  }
  throw await refusal(facts, needs, lineage, identity, candidates[0], signal);
}

/** No commit tells that the data was so at that time already, and the backup had not ended: there may have been others before it began. */
const isOlder = (asked: Stop, { lastCommit }: Followed, record: BackupRecord): boolean =>
  asked.kind === 'time' && lastCommit === undefined && asked.atMicros < endedAtMicros(record);

/** The target is the last thing that there is: nothing follows it, so replay goes to the end. */
function reachesEnd(stop: Stop, { lastCommit, lastRecordLsn, end }: Followed): boolean {
  if (stop.kind === 'end') return true;
  if (stop.kind === 'time') return stop.inclusive && lastCommit?.atMicros === stop.atMicros;
  return stop.inclusive ? lastRecordLsn === stop.lsn : stop.lsn === end;
}

async function found(
  { places }: PointNeeds,
  lineage: Lineage,
  { record, followed, row, size }: { record: BackupRecord; followed: Followed; row: (typeof reachRows)[number]; size: number },
  signal: AbortSignal,
): Promise<FoundPoint> {
  const forks = lineage.history.filter(({ timeline }) => timeline >= record.timeline).map(({ switchLsn }) => segmentOf(switchLsn, size));
  const first = [segmentOf(rollForwardStart(record), size), ...forks].sort((a, b) => Number(a - b))[0]!;
  const last = lastSegmentOf(followed.end, size);
  const known = (await places.archive.timelines(signal)).map(({ id }) => id);
  const ancestors = new Set([lineage.timeline, ...lineage.history.map(({ timeline }) => timeline)]);
  const plan: PointPlan = {
    label: record.label,
    timeline: lineage.timeline,
    stopBefore: followed.stopBefore === undefined ? null : formatLsn(followed.stopBefore),
    needsUpTo: formatLsn(followed.end),
    lastCommit: toldOf(followed.lastCommit, formatLsn),
    nextCommit: toldOf(followed.nextCommit, formatLsn),
    reason: row.id,
    because: row.words,
    otherTimelines: known.filter((id) => !ancestors.has(id)),
    walBytes: last < first ? 0 : Number(last - first + 1n) * size,
  };
  return { plan, record, lineage, followed, first, last };
}

/** Says what can be reached instead: from the oldest backup's end to the end of the WAL behind the newest. */
async function refusal(
  facts: ReachFacts,
  { request, candidates: all }: PointNeeds,
  lineage: Lineage,
  identity: WalIdentity,
  newest: Candidate | undefined,
  signal: AbortSignal,
): Promise<DbkitError> {
  const row = decide(reachRows, facts);
  const oldest = all.filter(({ record }) => leadsTo(lineage, record)).at(-1);
  const end =
    newest &&
    (await follow(lineage, identity, { start: startOf(newest.record), stop: { kind: 'end' }, major: newest.record.pgVersion }, signal));
  const last =
    end &&
    (end.lastCommit ? `${formatMicros(end.lastCommit.atMicros)} (LSN ${formatLsn(end.lastCommit.lsn)})` : `LSN ${formatLsn(end.end)}`);
  const nearest =
    oldest && last
      ? `; on timeline ${lineage.timeline} the moments from the end of ${oldest.record.label} (LSN ${oldest.record.stopLsn}) to the last commit, ${last}, have backups`
      : '';
  const hint = 'refusal' in row ? row.refusal.hint : '';
  return new DbkitError('recovery.refused', `${askedWords(request)} cannot be restored: ${row.words}${nearest}`, { hint });
}

/** The asked moment as a person would say it. */
export function askedWords({ to, value, exclusive }: PointRequest): string {
  const words = {
    time: () => formatMicros(BigInt(value)),
    lsn: () => `LSN ${value}`,
    xid: () => `transaction ${value}`,
    name: () => `the restore point '${value}'`,
    latest: () => 'the end of the WAL',
    before: () => `the moment before "${value}"`,
  }[to]();
  return exclusive && to !== 'before' ? `the moment before ${words}` : words;
}
