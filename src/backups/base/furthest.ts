import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import type { Lsn } from '../../formats/wal-segment.ts';
import type { System } from '../../kernel/machine.ts';
import { unlessOwnTrouble } from '../../kernel/own-trouble.ts';
import { openArchive } from '../../wal/archive.ts';
import type { ArchivedTimeline } from '../../wal/contract.ts';
import { gatherWal } from '../../wal/gather.ts';
import { openPgWal } from '../../wal/pg-wal.ts';
import type { BackupRecord } from './record.ts';
import { type KnownToHave, planRollForward, type RollForward, rollForwardStart } from './roll-forward.ts';
import { findWalSegment } from './same-wal.ts';

interface Sources {
  readonly walFrom: string | undefined;
  readonly gatherIn?: string | undefined;
}

/**
 * The way forward from a backup that comes furthest: with the replaced instance's own pg_wal where that brings back everything, and the archive knows
 * of nothing behind it; else with what the archive has of it too. What was gathered stays until the next run clears the folder.
 */
export async function furthest(
  record: BackupRecord,
  { walFrom, gatherIn }: Sources,
  { known, repositoryDir, system }: { readonly known: KnownToHave; readonly repositoryDir: string; readonly system: System },
  signal: AbortSignal,
): Promise<{ readonly rolled: RollForward; readonly walFrom: string | undefined }> {
  const own = await planRollForward(record, walFrom, known, signal);
  if (gatherIn === undefined) return { rolled: own, walFrom };
  const archive = openArchive(repositoryDir, record.systemIdentifier, system.files);
  const { timelines, damage } = await archive.survey(signal);
  for (const { error } of damage) tellDamage(system, error.message);
  const isReadable = damage.every(({ timeline }) => timeline !== undefined && timeline < record.timeline);
  /** The archive lists nothing behind its end, and what of it cannot be read holds nothing more. */
  const isAll = (rolled: RollForward): boolean =>
    comesToCleanMark(rolled, known) || (isReadable && endOn(rolled.timeline, timelines) <= rolled.end);
  if (own.complete && endOn(record.timeline, timelines) <= own.end && isAll(own)) return { rolled: own, walFrom };
  const abandoned = await abandonedSince(known.mark, timelines);
  const from = { timeline: record.timeline, lsn: rollForwardStart(record) };
  const gathering = { archive, timelines, pgWal: walFrom, into: gatherIn, abandoned };
  const gathered = timelines.length === 0 ? undefined : await gatherWal(gathering, from, signal);
  const damaged = gathered?.damaged ?? [];
  for (const { path } of damaged) tellDamage(system, `${path} is damaged`);
  const asKnown = (rolled: RollForward): RollForward => ({
    ...rolled,
    complete: rolled.complete && isAll(rolled) && damaged.every(({ endLsn }) => endLsn <= rolled.end),
  });
  if (gathered === undefined) return { rolled: asKnown(own), walFrom };
  const rolled = await planRollForward(record, gathered.view, known, signal, gathered);
  if (rolled.complete || rolled.end > own.end || rolled.timeline > own.timeline) {
    system.log.info('restore.archive', 'WAL from the archive is rolled forward', { segments: rolled.segments.length });
    return { rolled: asKnown(rolled), walFrom: gathered.directory };
  }
  await rm(gatherIn, { recursive: true, force: true });
  return { rolled: asKnown(own), walFrom };
}

const tellDamage = (system: Pick<System, 'log'>, words: string): void =>
  system.log.error('restore.archive-damaged', `a part of the WAL archive is passed over: ${words}`);

/** A server that was stopped cleanly wrote nothing behind its mark. */
const comesToCleanMark = ({ timeline, end }: RollForward, { mark }: KnownToHave): boolean =>
  mark?.clean === true && mark.timeline === timeline && mark.flushedLsn === end;

/** How far a timeline was ever kept. */
const endOn = (timeline: number, timelines: readonly ArchivedTimeline[]): Lsn =>
  timelines.find(({ id }) => id === timeline)?.segments.at(-1)?.endLsn ?? 0n;

/** The mark says on which timeline the data was at that time: later ones that were last written before are those of a restore that was undone. */
async function abandonedSince(mark: KnownToHave['mark'], timelines: readonly ArchivedTimeline[]): Promise<ReadonlySet<number>> {
  const abandoned = new Set<number>();
  for (const { id, segments } of timelines.filter(({ id }) => mark !== undefined && id > mark.timeline)) {
    const last = segments.at(-1);
    const written = last && (await stat(last.path).catch(unlessOwnTrouble));
    if (!written || written.mtimeMs < Date.parse(mark!.at)) abandoned.add(id);
  }
  return abandoned;
}

interface Around {
  /** Where the backup is. */
  readonly path: string;
  readonly dataDir: string;
  readonly config: Pick<Config, 'backupDir'>;
  readonly system: System;
}

/** The backup's own copy of a segment, where bringing that one back lets the replay go on to the end; undefined else. */
export async function segmentThatLeadsOn(
  record: BackupRecord,
  name: string,
  around: Around,
  signal: AbortSignal,
): Promise<string | undefined> {
  const hasMore = await archiveHasMore(record, name, around, signal).catch(unlessOwnTrouble); // An archive that its disk does not give is no better.
  signal.throwIfAborted();
  return hasMore ? undefined : findWalSegment(record, around.path, name, signal);
}

/** Is there WAL behind that segment in the archive which pg_wal does not have, or has damaged? */
async function archiveHasMore(
  { systemIdentifier, timeline, walSegmentSizeBytes: segmentSizeBytes }: BackupRecord,
  name: string,
  { dataDir, config, system }: Around,
  signal: AbortSignal,
): Promise<boolean> {
  const archive = openArchive(config.backupDir, systemIdentifier, system.files);
  const own = openPgWal(join(dataDir, 'pg_wal'), { systemIdentifier, timeline, segmentSizeBytes });
  const line = (await archive.timelines(signal)).find(({ id }) => id === timeline);
  for (const segment of line?.segments.filter((one) => one.name > name) ?? []) {
    const there = await own.read(segment.startLsn, segment.endLsn).catch(unlessOwnTrouble);
    const kept = await archive.read(segment, signal).catch(unlessOwnTrouble);
    if (kept && !there?.equals(kept)) return true;
  }
  return false;
}
