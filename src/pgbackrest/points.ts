import { join } from 'node:path';
import { readCluster } from '../backups/base/cluster.ts';
import { askedWords } from '../backups/base/points/find-point.ts';
import type { PointPlan, PointRequest } from '../backups/base/points/point.ts';
import { serveRows } from '../backups/base/points/serve-rows.ts';
import type { ServingBackup, ServingReport } from '../backups/base/points/serving.ts';
import { refuse } from '../backups/engine-refusals.ts';
import { type Fork, parseTimelineHistory } from '../formats/timeline-history.ts';
import { parseLsn } from '../formats/wal-segment.ts';
import { DbkitError } from '../kernel/errors.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { decide } from '../kernel/reasons.ts';
import { readPlainText } from '../machine/plain-file.ts';
import { historyFile } from '../wal/layout.ts';
import { readInfo, stateOf } from './catalog.ts';
import type { RestBackup, RestInfo } from './info.ts';
import { restPointRows } from './point-rows.ts';
import type { Rest, RestNeeds } from './program.ts';

/** A moment with the backup that is restored for it. */
export interface RestPoint {
  readonly plan: PointPlan;
  readonly backup: RestBackup;
  readonly timeline: number;
}

/** The backups of one cluster as seen from a timeline. */
interface Line {
  readonly timeline: number;
  readonly history: readonly Fork[];
  readonly info: RestInfo;
  readonly own: readonly RestBackup[];
}

const GET_MS = 120_000;

/** `label`: only from that backup. Rejects with `recovery.refused` where none leads there, `usage.invalid` for what only dbkit's own archive tells. */
export async function findRestPoint(
  rest: Rest,
  needs: Pick<RestNeeds, 'config'>,
  { request, label }: { readonly request: PointRequest; readonly label: string | undefined },
  signal: AbortSignal,
): Promise<RestPoint> {
  if (request.to === 'before') throw refuse('pgbackrest-finds-no-statement');
  return choose(await lineOf(rest, needs, request, signal), request, label);
}

/** Pure. */
export function choose({ timeline, history, info, own }: Line, request: PointRequest, label: string | undefined): RestPoint {
  const named = label === undefined ? own : own.filter((one) => one.label === label);
  const onTheWay = named.filter((one) => isGood(one) && leadsTo(one, timeline, history));
  const before = onTheWay.filter((one) => endedBefore(one, request));
  const row = decide(restPointRows, {
    to: request.to,
    isNamed: label !== undefined,
    onTheWay: onTheWay.length,
    before: before.length,
  });
  const backup = before.at(-1);
  if ('refusal' in row || backup === undefined) {
    const hint = 'refusal' in row ? row.refusal.hint : undefined;
    throw new DbkitError('recovery.refused', `${askedWords(request)} cannot be restored: ${row.words}`, { hint });
  }
  const timelines = info.archives.flatMap(({ first, last }) => [first, last]).flatMap((name) => (name === null ? [] : [timelineOf(name)]));
  const ancestors = new Set([timeline, ...history.map((fork) => fork.timeline)]);
  const plan: PointPlan = {
    label: backup.label,
    timeline,
    stopBefore: request.to === 'lsn' ? request.value : null,
    needsUpTo: request.to === 'lsn' ? request.value : backup.stopLsn,
    lastCommit: null,
    nextCommit: null,
    reason: row.id,
    because: row.words,
    otherTimelines: [...new Set([...timelines, ...own.map((one) => one.timeline)])]
      .filter((id) => !ancestors.has(id))
      .sort((a, b) => a - b),
    walBytes: 0, // It is fetched one segment after the other, and recycled.
    until: request.to === 'latest' ? null : askedWords(request),
  };
  return { plan, backup, timeline };
}

export const timelineOf = (segment: string): number => Number.parseInt(segment.slice(0, 8), 16);
const isGood = (one: RestBackup): boolean => stateOf(one) !== 'damaged';

/** On that timeline, or on an ancestor before that was left. */
function leadsTo({ timeline, stopLsn }: RestBackup, wanted: number, history: readonly Fork[]): boolean {
  const fork = history.find((one) => one.timeline === timeline);
  return timeline === wanted || (fork !== undefined && parseLsn(stopLsn) <= fork.switchLsn);
}

/** Its times are whole seconds, rounded down. */
function endedBefore({ endedAt, stopLsn }: RestBackup, { to, value, exclusive }: PointRequest): boolean {
  if (to === 'time') return BigInt(endedAt.getTime() + 1000) * 1000n <= BigInt(value);
  if (to !== 'lsn') return true;
  return exclusive ? parseLsn(stopLsn) <= parseLsn(value) : parseLsn(stopLsn) < parseLsn(value);
}

/** Of the cluster in the data directory; where there is none that can be read, of the one that the stanza is of now. */
async function lineOf(rest: Rest, { config }: Pick<RestNeeds, 'config'>, request: PointRequest, signal: AbortSignal): Promise<Line> {
  const { dataDir } = config.postgresql;
  const info = await readInfo(rest, signal);
  const today = await readCluster(dataDir, signal).catch(unlessOwnTrouble);
  signal.throwIfAborted();
  const systemIdentifier = today?.systemIdentifier ?? info.clusters.at(-1)?.systemIdentifier;
  const own = info.backups.filter((one) => one.systemIdentifier === systemIdentifier);
  if (own.length === 0)
    throw new DbkitError('backup.missing', 'pgBackRest has no backup of this cluster, so no moment of it can be brought back', {
      hint: '`dbkit backup create` takes one; every moment after it can be reached then',
    });
  const archived = info.archives.filter((one) => one.systemIdentifier === systemIdentifier).flatMap(({ last }) => (last ? [last] : []));
  const newest = Math.max(...own.map((one) => one.timeline), ...archived.map(timelineOf));
  const timeline = request.timeline ?? today?.timeline ?? newest;
  const ids = info.archives.filter((one) => one.systemIdentifier === systemIdentifier).map(({ id }) => id);
  const history = timeline === 1 ? [] : await historyOf(rest, { timeline, ids, dataDir }, signal);
  return { timeline, history, info, own };
}

/** From pg_wal, else from the repository. Rejects with `recovery.refused` where neither has it: nobody could tell where the timeline came from. */
async function historyOf(
  rest: Rest,
  { timeline, ids, dataDir }: { readonly timeline: number; readonly ids: readonly string[]; readonly dataDir: string },
  signal: AbortSignal,
): Promise<readonly Fork[]> {
  const name = historyFile(timeline);
  const here = await readPlainText(join(dataDir, 'pg_wal', name)).catch(unlessOwnTrouble);
  if (here !== undefined) return parseTimelineHistory(here);
  const { stanza } = await rest.prepare();
  for (const id of ids) {
    const args = ['--ignore-missing', `archive/${stanza}/${id}/${name}`];
    const { exitCode, stdout } = await rest.attempt('repo-get', { args, timeoutMs: GET_MS }, signal);
    if (exitCode === 0) return parseTimelineHistory(stdout);
  }
  throw new DbkitError('recovery.refused', `the history of timeline ${timeline} is neither in the repository nor in pg_wal`, {
    hint: 'name another timeline; `dbkit backup show LABEL` says which one a backup is of; nothing was changed',
  });
}

/** Which backup serves a moment, and why each of the others does not. */
export async function servingRest(
  rest: Rest,
  needs: Pick<RestNeeds, 'config'>,
  request: PointRequest,
  signal: AbortSignal,
): Promise<ServingReport> {
  if (request.to === 'before') throw refuse('pgbackrest-finds-no-statement');
  const line = await lineOf(rest, needs, request, signal);
  const { plan, refused } = tried(line, request);
  const newestFirst = line.info.backups.toReversed();
  const chosen = newestFirst.findIndex(({ label }) => label === plan?.label);
  const backups = newestFirst.map((one, index): ServingBackup => {
    const { id, then, words } = decide(serveRows, {
      ownCluster: line.own.includes(one),
      good: isGood(one),
      onTheWay: leadsTo(one, line.timeline, line.history),
      chosen: index === chosen,
      endsBehind: index < chosen || !endedBefore(one, request),
      olderThanChosen: chosen !== -1 && index > chosen,
    });
    const { label, endedAt, stopLsn } = one;
    return { label, state: stateOf(one), createdAt: endedAt.toISOString(), stopLsn, serves: then === 'serves', reason: id, because: words };
  });
  return { plan, refused, backups };
}

function tried(line: Line, request: PointRequest): Pick<ServingReport, 'plan' | 'refused'> {
  try {
    return { plan: choose(line, request, undefined).plan, refused: null };
  } catch (cause) {
    if (cause instanceof DbkitError && cause.code === 'recovery.refused') return { plan: null, refused: cause.message };
    throw cause;
  }
}
