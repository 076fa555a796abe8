import { beginsMinimal, type WalRecord } from '../../../formats/wal-reader.ts';
import { formatLsn, type Lsn, parseLsn, segmentOf, type WalIdentity } from '../../../formats/wal-segment.ts';
import { DbkitError } from '../../../kernel/errors.ts';
import { type Lineage, openLineage, type WalPlaces } from '../../../wal/lineage.ts';
import { isoOfMicros, type Moment } from '../../../wal/moments/moment.ts';
import { endedAtMicros } from '../record.ts';
import { type Candidate, leadsTo, startOf } from './find-point.ts';
import { type PointsNeeds, type Ways, waysOf } from './points.ts';
import type { ReachableEvent, ReachableMoments, ReachablePlace, ReachableSpan, ReachableTimeline } from './reachable.ts';
import { momentsFrom } from './search.ts';

/** Rejects with `backup.missing` where no base backup of the cluster is there. */
export async function reachableMoments(needs: PointsNeeds, timeline: number | undefined, signal: AbortSignal): Promise<ReachableMoments> {
  const ways = await waysOf(needs, signal);
  const known = await timelinesOf(ways, signal);
  const timelines: ReachableTimeline[] = [];
  for (const id of known) if (timeline === undefined || timeline === id) timelines.push(await readTimeline(ways, id, signal));
  if (timelines.length === 0)
    throw new DbkitError('recovery.refused', `there is no timeline ${timeline}`, { hint: `there are ${known.join(', ')}` });
  const latest = timelines.find(({ current }) => current)?.spans.at(-1)?.to ?? null;
  return { systemIdentifier: ways.places.systemIdentifier, currentTimeline: ways.currentTimeline, latest, timelines };
}

async function timelinesOf({ places, currentTimeline, candidates }: Ways, signal: AbortSignal): Promise<readonly number[]> {
  const archived = (await places.archive.timelines(signal)).map(({ id }) => id);
  const all = new Set([...archived, currentTimeline, ...candidates.map(({ record }) => record.timeline)]);
  return [...all].sort((a, b) => a - b);
}

async function readTimeline(
  { places, currentTimeline, candidates }: Ways,
  timeline: number,
  signal: AbortSignal,
): Promise<ReachableTimeline> {
  const own = candidates.filter(({ record }) => record.timeline === timeline).reverse();
  const backups = own.map(({ record: { label, createdAt, state, stopLsn } }) => ({ label, createdAt, state, stopLsn }));
  const common = { timeline, current: timeline === currentTimeline, backups };
  let lineage: Lineage;
  try {
    lineage = await openLineage(places, timeline, signal);
  } catch (cause) {
    if (!(cause instanceof DbkitError) || cause.code !== 'recovery.refused') throw cause;
    const nothing = { forkedFrom: null, spans: [], gaps: [], events: [], commitsPerMinute: [] };
    return { ...common, ...nothing, problem: cause.message }; // The others can be read all the same.
  }
  const fork = lineage.history.at(-1);
  const seen = await readSpans(places, lineage, { candidates, fork: fork?.switchLsn ?? 0n }, signal);
  return { ...common, forkedFrom: fork ? { timeline: fork.timeline, lsn: formatLsn(fork.switchLsn) } : null, ...seen, problem: null };
}

/** From the newest backup before the fork, and from each behind it that the reading before did not come to. */
async function readSpans(
  places: WalPlaces,
  lineage: Lineage,
  { candidates, fork }: { readonly candidates: readonly Candidate[]; readonly fork: Lsn },
  signal: AbortSignal,
): Promise<Pick<ReachableTimeline, 'spans' | 'gaps' | 'events' | 'commitsPerMinute'>> {
  const { systemIdentifier, segmentSizeBytes } = places;
  const identity: WalIdentity = { systemIdentifier, segmentSizeBytes, timeline: lineage.timeline };
  const leading = candidates.filter(({ record }) => leadsTo(lineage, record));
  const before = leading.findIndex(({ record }) => parseLsn(record.stopLsn) <= fork);
  const spans: (ReachableSpan & { readonly end: Lsn })[] = [];
  const log = createLog(fork);
  for (const candidate of leading.slice(0, before < 0 ? undefined : before + 1).reverse()) {
    const { record } = candidate;
    const reached = spans.at(-1)?.end;
    if (reached !== undefined && parseLsn(record.stopLsn) <= reached) continue;
    const span = await readSpan(lineage, identity, { candidate, fork, log }, signal);
    if (span.end >= fork && span.end >= parseLsn(record.stopLsn)) spans.push(span);
  }
  const gaps = spans.slice(1).map(({ from }, index) => ({ from: spans[index]!.to, to: from }));
  return { spans: spans.map(({ end: _end, ...span }) => span), gaps, events: log.events, commitsPerMinute: log.minutes() };
}

async function readSpan(
  lineage: Lineage,
  identity: WalIdentity,
  { candidate: { record, path }, fork, log }: { readonly candidate: Candidate; readonly fork: Lsn; readonly log: Log },
  signal: AbortSignal,
): Promise<ReachableSpan & { readonly end: Lsn }> {
  const [stop, start] = [parseLsn(record.stopLsn), startOf(record)];
  const from = stop < fork ? fork : stop;
  let [lastLsn, isMinimal, commits, problem] = [start, false, 0, null as string | null];
  let [earlier, first, last] = [undefined as bigint | undefined, undefined as bigint | undefined, undefined as bigint | undefined];
  const isTooLate = (wal: WalRecord): boolean => {
    isMinimal = beginsMinimal(wal);
    if (!isMinimal) lastLsn = wal.lsn;
    return isMinimal;
  };
  const visit = (moment: Moment): void => {
    const { atMicros } = moment;
    if (moment.lsn < from) {
      if (moment.kind === 'commit' || (moment.kind === 'abort' && earlier !== undefined)) earlier = atMicros;
      return;
    }
    if (moment.kind === 'commit') [commits, last] = [commits + 1, atMicros];
    if (moment.kind === 'commit' || moment.kind === 'timeline') first ??= atMicros;
    log.note(moment);
  };
  const beginning = { path, start, stop, major: record.pgVersion };
  const end = await momentsFrom(lineage, identity, beginning, isTooLate, visit, signal).catch((cause: unknown) => {
    if (!(cause instanceof DbkitError) || (cause.code !== 'wal.damaged' && cause.code !== 'wal.conflict')) throw cause;
    problem = cause.message;
    return lastLsn;
  });
  const isFollowed = lineage.nextAfter(segmentOf(end, identity.segmentSizeBytes)) !== undefined; // The next record must be in that of `end`.
  const ends = problem !== null ? 'damaged' : isMinimal ? 'minimal' : isFollowed ? 'gap' : 'end';
  const began = earlier ?? earliest(first, endedAtMicros(record));
  return { label: record.label, from: placeOf(from, began), to: placeOf(end, last), commits, ends, problem, end };
}

/** Without a commit in the backup itself, what is before the first one behind it is told apart only by the clock. */
const earliest = (first: bigint | undefined, ended: bigint): bigint => (first !== undefined && first < ended ? first : ended);

const placeOf = (lsn: Lsn, at: bigint | undefined): ReachablePlace => ({
  lsn: formatLsn(lsn),
  at: at === undefined ? null : isoOfMicros(at),
});

type Log = ReturnType<typeof createLog>;

/** Keeps what happened from `fork` on, once, although two readings may come across it. */
function createLog(fork: Lsn) {
  const events: ReachableEvent[] = [];
  const perMinute = new Map<string, number>();
  let noted = fork - 1n;
  return {
    events: events as readonly ReachableEvent[],
    note(moment: Moment): void {
      if (moment.lsn <= noted) return;
      noted = moment.lsn;
      if (moment.kind === 'commit') {
        const minute = `${isoOfMicros(moment.atMicros).slice(0, 16)}:00Z`;
        perMinute.set(minute, (perMinute.get(minute) ?? 0) + 1);
      }
      const event = eventOf(moment);
      if (event) events.push(event);
    },
    minutes: () => [...perMinute].map(([minute, commits]) => ({ minute, commits })),
  };
}

function eventOf(moment: Moment): ReachableEvent | undefined {
  const common = { at: isoOfMicros(moment.atMicros), lsn: formatLsn(moment.lsn), xid: null, database: null, rows: 0 };
  if (moment.kind === 'restore-point') return { ...common, kind: moment.kind, names: [moment.name] };
  if (moment.kind === 'restart' || moment.kind === 'timeline') return { ...common, kind: moment.kind, names: [] };
  if (moment.destruction === undefined) return undefined;
  const { kind, database, names, rows } = moment.destruction;
  return { ...common, kind, xid: moment.xid, database, names, rows };
}
