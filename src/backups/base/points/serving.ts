import { DbkitError } from '../../../kernel/errors.ts';
import { decide } from '../../../kernel/reasons.ts';
import { openLineage } from '../../../wal/lineage.ts';
import { type BackupRecord, endedAtMicros } from '../record.ts';
import { leadsTo } from './find-point.ts';
import type { PointPlan, PointRequest } from './point.ts';
import { type PointsNeeds, pointOf, waysOf } from './points.ts';
import { serveRows } from './serve-rows.ts';

/** One base backup, and whether it serves a moment. */
export interface ServingBackup {
  readonly label: string;
  readonly state: string;
  readonly createdAt: string;
  readonly stopLsn: string;
  readonly serves: boolean;
  /** The row of the table (`dbkit explain`), and its words. */
  readonly reason: string;
  readonly because: string;
}

/** JSON of `dbkit backup find`; fields are only ever added. */
export interface ServingReport {
  /** The way from the backup that serves; null where none does. */
  readonly plan: PointPlan | null;
  /** Why none does, with the nearest moments; null where one does. */
  readonly refused: string | null;
  /** Newest first. */
  readonly backups: readonly ServingBackup[];
}

/** The base backup that serves the moment, and why each of the others does not. Rejects with `backup.missing` where there is none at all. */
export async function servingBackups(needs: PointsNeeds, request: PointRequest, signal: AbortSignal): Promise<ServingReport> {
  const records = [...(await needs.repository.records(signal))].reverse();
  const ways = await waysOf(needs, signal);
  const { plan, refused } = await pointOf(needs, request, { label: undefined }, signal).then(
    (found) => ({ plan: found.plan, refused: null }),
    (cause: unknown) => {
      if (cause instanceof DbkitError && cause.code === 'recovery.refused') return { plan: null, refused: cause.message };
      throw cause;
    },
  );
  const lineage = await openLineage(ways.places, request.timeline ?? ways.currentTimeline, signal);
  const own = new Set(ways.candidates.map(({ record }) => record.label));
  const chosen = records.findIndex(({ label }) => label === plan?.label);
  const backups = records.map((record, index): ServingBackup => {
    const { id, then, words } = decide(serveRows, {
      ownCluster: own.has(record.label),
      good: record.state !== 'damaged',
      onTheWay: leadsTo(lineage, { ...record, state: 'good' }),
      chosen: index === chosen,
      endsBehind: index < chosen || endedAfter(record, request),
      olderThanChosen: chosen !== -1 && index > chosen,
    });
    const { label, state, createdAt, stopLsn } = record;
    return { label, state, createdAt, stopLsn, serves: then === 'serves', reason: id, because: words };
  });
  return { plan, refused, backups };
}

/** By the clock that dated it; only where a time is asked for. */
const endedAfter = (record: BackupRecord, { to, value }: PointRequest): boolean => to === 'time' && endedAtMicros(record) > BigInt(value);
