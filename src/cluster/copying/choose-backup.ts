import { join } from 'node:path';
import { leadsTo } from '../../backups/base/points/find-point.ts';
import { type BackupRecord, baseBackupRecords } from '../../backups/base/record.ts';
import { rollForwardStart } from '../../backups/base/roll-forward.ts';
import { openRepository } from '../../backups/repository.ts';
import type { Config } from '../../config/config.ts';
import { parseLsn } from '../../formats/wal-segment.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { openArchive } from '../../wal/archive.ts';
import type { ArchivedTimeline } from '../../wal/contract.ts';
import { type Lineage, openLineage, type WalPlaces } from '../../wal/lineage.ts';
import type { Source } from './ask-source.ts';
import { judgeFit } from './fit-rows.ts';
import { hasWalBetween } from './wal-between.ts';

/** The backups of which a replica may be made, newest first, and why each of the others is not used. */
export interface Choice {
  readonly fitting: readonly string[];
  readonly refused: readonly { readonly label: string; readonly reason: string; readonly because: string }[];
}

interface Needs {
  readonly config: Config;
  readonly system: System;
}

/**
 * Looks through the repository. `source` null: nobody leads, so the way is that of the newest timeline that was kept, and the backups must all be
 * of one cluster. Rejects with `backup.missing` where nobody can tell which.
 */
export async function chooseBackups(
  { config, system }: Needs,
  source: Source | null,
  major: number | undefined,
  signal: AbortSignal,
): Promise<Choice> {
  const repository = openRepository(baseBackupRecords, { config, owner: undefined, system });
  const records = [...(await repository.records(signal))].reverse();
  const systemIdentifier = source?.systemIdentifier ?? onlyClusterOf(records);
  const own = records.filter((record) => record.systemIdentifier === systemIdentifier);
  const archive = openArchive(config.backupDir, systemIdentifier ?? '0', system.files);
  const timelines = await archive.timelines(signal);
  const timeline = source?.timeline ?? Math.max(1, ...own.map((one) => one.timeline), ...timelines.map(({ id }) => id));
  const folders = own.map(({ label }) => join(repository.pathOf(label), 'pg_wal'));
  const places = { archive, folders, systemIdentifier: systemIdentifier ?? '0', segmentSizeBytes: own[0]?.walSegmentSizeBytes ?? 0 };
  const way = await wayTo(places, timeline, signal);
  const fitting: string[] = [];
  const refused: Choice['refused'][number][] = [];
  for (const record of records) {
    const row = judgeFit({
      isDamaged: record.state === 'damaged' || record.knownDamage.length > 0,
      isOfThisCluster: record.systemIdentifier === systemIdentifier,
      isOfThisMajor: record.pgVersion === (source?.major ?? major ?? record.pgVersion),
      isOnTheWay: leadsTo(way, record),
      isWalThere: hasWal(way, record, timelines, source),
    });
    if (row.then === 'use') fitting.push(record.label);
    else refused.push({ label: record.label, reason: row.id, because: row.words });
  }
  return { fitting, refused };
}

function onlyClusterOf(records: readonly BackupRecord[]): string | undefined {
  const all = [...new Set(records.map(({ systemIdentifier }) => systemIdentifier))];
  if (all.length <= 1) return all[0];
  throw new DbkitError(
    'backup.missing',
    `nobody leads, and the repository holds backups of ${all.length} clusters: nobody can tell which is meant`,
    {
      hint: 'start the member that has the data; nothing was changed',
    },
  );
}

type Way = Pick<Lineage, 'timeline' | 'history' | 'followedUntil' | 'bytes' | 'nameOf' | 'nextAfter'>;

/** Where the history is not known, only what is on the timeline itself is known to lead there. */
async function wayTo(places: WalPlaces, timeline: number, signal: AbortSignal): Promise<Way> {
  const alone: Way = {
    timeline,
    history: [],
    bytes: async () => undefined,
    nameOf: async () => undefined,
    nextAfter: () => undefined,
    followedUntil: (id) => (id === timeline ? undefined : null),
  };
  if (places.segmentSizeBytes === 0) return alone;
  return openLineage(places, timeline, signal).catch((cause: unknown) => {
    if (cause instanceof DbkitError && cause.code === 'recovery.refused') return alone;
    throw cause;
  });
}

/** Without a leader: to the end of what is kept. */
function hasWal(way: Way, record: BackupRecord, timelines: readonly ArchivedTimeline[], source: Source | null): boolean {
  const segments = timelines
    .flatMap((one) => (way.followedUntil(one.id) === null ? [] : one.segments))
    .filter(({ kind }) => kind === 'whole');
  const to = source?.keepsFrom ?? segments.map(({ startLsn }) => startLsn).sort((a, b) => Number(b - a))[0] ?? 0n;
  const from = record.mode === 'cold' ? parseLsn(record.stopLsn) : rollForwardStart(record);
  return hasWalBetween(way, new Set(segments.map(({ name }) => name)), [from, to], record.walSegmentSizeBytes);
}
