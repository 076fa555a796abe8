import type { Config } from '../../config/config.ts';
import { fromText } from '../../formats/byte-path.ts';
import type { ControlFile } from '../../formats/control-file.ts';
import { readRecords } from '../../formats/wal-reader.ts';
import { type Lsn, parseLsn } from '../../formats/wal-segment.ts';
import { readControl } from '../../inspection/state.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Identity, System } from '../../kernel/machine.ts';
import { unlessOwnTrouble } from '../../kernel/own-trouble.ts';
import { readMark } from '../../wal/mark.ts';
import type { BaseBackups } from '../backup.ts';
import { inWords } from '../disk-failures.ts';
import { type DrillReport, damages } from '../drill.ts';
import { openRepository, type RepositoryOf } from '../repository.ts';
import { baselineOf } from './baseline.ts';
import { changedSince } from './changed-since.ts';
import { readCluster } from './cluster.ts';
import { type CreateNeeds, createBackup } from './create.ts';
import { descendsFrom } from './descent.ts';
import { expireArchives } from './expire-archives.ts';
import { furthest, segmentThatLeadsOn } from './furthest.ts';
import { madeMeanwhile, newestLabelIn } from './made-meanwhile.ts';
import { type PointsNeeds, pointOf } from './points/points.ts';
import { reachableMoments } from './points/read-reachable.ts';
import { servingBackups } from './points/serving.ts';
import { type BackupRecord, baseBackupRecords, type WholeRecord } from './record.ts';
import { restoreBackup } from './restore.ts';
import { type KnownToHave, planRollForward } from './roll-forward.ts';
import { findSameFiles } from './same-files.ts';
import { type VerifyNeeds, verifyBackup } from './verify.ts';

export interface BaseBackupsNeeds {
  readonly config: Config;
  readonly system: System;
  readonly dataDir: string;
  /** The owner of what is written, when dbkit runs as root. */
  readonly owner: Identity;
}

/**
 * Base backups as plain directories (DESIGN.md section 5). `take` also expires what retention no longer keeps, but only after a good backup; one
 * with damaged pages is kept and returned with the state `damaged`. Every rejection leaves the list of backups as it was.
 */
export function createBaseBackups({ config, system, dataDir, owner }: BaseBackupsNeeds): BaseBackups {
  const fileOwner = system.self.uid === 0 ? owner : undefined;
  const repository = openRepository(baseBackupRecords, { config, owner: fileOwner, system });
  const { recordOf, remember, pathOf } = repository;
  const readingRecord = readingIn(repository);
  const seen: VerifyNeeds['seen'] = new Map();
  const points = { backupDir: config.backupDir, dataDir, system, repository };
  const rememberDamage = damageIn(remember);

  const stage: BaseBackups['stage'] = async (backup, target, signal) => {
    const record = await recordOf(backup, signal);
    const wal = target.point && (await (await pointOf(points, target.point, { label: record.label }, signal)).wal());
    const known = await knownToHave(record, { stateDir: config.stateDir, dataDir }, signal);
    const { rolled, walFrom } = wal ?? (await furthest(record, target, { known, repositoryDir: config.backupDir, system }, signal));
    const needs = { rolled, source: pathOf(record.label), owner: fileOwner, system };
    const work = (now: BackupRecord) => restoreBackup({ ...needs, record: now }, { ...target, walFrom, point: wal }, signal);
    const staged = await readingRecord(backup.label, work, signal).catch((thrown: unknown) =>
      rememberDamage(backup.label, {}, thrown, signal),
    );
    return { ...staged, complete: rolled.complete };
  };

  return {
    name: 'copy',
    kind: 'physical',
    repository,
    take: (signal, options = {}) =>
      inWords('take a base backup', () => take({ config, system, dataDir, owner: fileOwner, repository, options }, signal)),
    stage: (backup, target, signal) => inWords(`restore ${backup.label}`, () => stage(backup, target, signal)),
    findPoint: (request, label, signal) =>
      inWords('look for a moment in the WAL', async () => (await pointOf(points, request, { label }, signal)).plan),
    serving: (request, signal) => inWords('look for a moment in the WAL', () => servingBackups(points, request, signal)),
    reachable: (timeline, signal) => inWords('read the WAL', () => reachableMoments(points, timeline, signal)),
    rollsForward: (backup, from, signal) =>
      inWords(`look at the WAL since ${backup.label}`, async () =>
        isComplete({ ...points, dataDir: from }, await recordOf(backup, signal), config.stateDir, signal),
      ),
    baseline: baselineFrom(repository, { config, system }),
    walSegment: async (backup, name, signal) =>
      segmentThatLeadsOn(await recordOf(backup, signal), name, { path: pathOf(backup.label), dataDir, config, system }, signal),
    sameFiles: (backup, files, signal) =>
      inWords(`look for files in ${backup.label}`, async () =>
        findSameFiles(await repository.wholeOf(backup, signal), pathOf(backup.label), files, signal),
      ),
    verify: (backup, signal, { deep } = { deep: false }) =>
      inWords(`verify ${backup.label}`, async () => {
        const { label } = await recordOf(backup, signal);
        const read = { verifiedAt: system.clock.now().toISOString(), verifiedDeep: deep };
        const needs = { deep, seen, log: system.log };
        await readingRecord(label, (record) => verifyBackup(record, pathOf(label), needs, signal), signal).catch((thrown: unknown) =>
          rememberDamage(label, read, thrown, signal),
        );
        await remember(label, (now) => ({ ...now, ...read, state: stateAfter(now), problem: null }), signal);
      }),
    prove: ({ label }, drill, signal) => rememberDrill(remember, label, drill, signal),
    descends: async (backup, from, signal) => descendsFrom(await recordOf(backup, signal), from, signal),
    changedSinceLast: async (signal) => changedSince((await repository.records(signal)).at(-1), dataDir, signal),
  };
}

/** At once where nobody holds the lock; else in its turn, if whoever asks has the patience. */
async function take(needs: CreateNeeds, signal: AbortSignal): ReturnType<BaseBackups['take']> {
  const { repository, options } = needs;
  const inTurn = (waitMs: number, newest?: string): ReturnType<BaseBackups['take']> =>
    repository.locked('backup', () => takeInTurn(needs, newest, signal), signal, waitMs);
  const { waitMs = 0 } = options;
  try {
    return await inTurn(0);
  } catch (cause) {
    if (!(waitMs > 0 && cause instanceof DbkitError && cause.code === 'lock.held')) throw cause;
  }
  return inTurn(waitMs, await newestLabelIn(needs.config.backupDir));
}

/** Under the lock. `newest`: the newest label that there was when it was asked for; undefined: it did not wait. */
async function takeInTurn(needs: CreateNeeds, newest: string | undefined, signal: AbortSignal): ReturnType<BaseBackups['take']> {
  const { config, system, dataDir, repository, options } = needs;
  const made =
    newest === undefined
      ? undefined
      : madeMeanwhile(await repository.records(signal), { cluster: await readCluster(dataDir, signal), newest, options });
  if (made) {
    const words = `Base backup ${made.label} was taken while this one waited, and began after it was asked for: it is the one.`;
    system.log.info('backup.made-meanwhile', words, { label: made.label });
    return repository.asBackup(made);
  }
  const record = await createBackup(needs, signal);
  reportBackup(record, system);
  if (record.state !== 'damaged') {
    await repository.expireAfter(record.label, signal);
    await expireArchives(await repository.records(signal), { config, system }, signal);
  }
  return repository.asBackup(record);
}

const baselineFrom =
  ({ wholeOf, recordOf, pathOf }: RepositoryOf<BackupRecord, WholeRecord>, needs: Pick<BaseBackupsNeeds, 'config' | 'system'>) =>
  async (...[backup, signal]: Parameters<BaseBackups['baseline']>): ReturnType<BaseBackups['baseline']> => {
    const isPlainNow = async (): Promise<boolean> => (await recordOf(backup, signal)).packed.length === 0;
    return baselineOf(await wholeOf(backup, signal), pathOf(backup.label), { ...needs, isPlainNow });
  };

/** The record is read while nobody can take files of the backup over: it says where they are. */
const readingIn =
  ({ reading, recordOf }: Pick<RepositoryOf<BackupRecord>, 'reading' | 'recordOf'>) =>
  <T>(label: string, work: (record: BackupRecord) => Promise<T>, signal: AbortSignal): Promise<T> =>
    reading(label, signal, async () => work(await recordOf({ label }, signal)));

/** As much WAL of the archive as a start reads to find out: half a minute. */
const ARCHIVE_READ_BYTES_MAX = 4n * 1024n ** 3n;

/** By its own pg_wal; or with the archive, where the server was shut down and so tells how far its WAL has come: what a crash before had lost stays lost. */
async function isComplete(points: PointsNeeds, record: BackupRecord, stateDir: string, signal: AbortSignal): Promise<boolean> {
  const { dataDir } = points;
  const known = await knownToHave(record, { stateDir, dataDir }, signal);
  if ((await planRollForward(record, `${dataDir}/pg_wal`, known, signal)).complete) return true;
  const read = readControl(dataDir);
  if (!('control' in read) || read.control.state !== 'shut down') return false;
  const end = await shutDownAt(read.control, dataDir, known.mark, signal);
  if (end === undefined || end - parseLsn(record.stopLsn) > ARCHIVE_READ_BYTES_MAX) return false; // Then a person decides: `--to latest`.
  const latest = { to: 'latest', value: '', exclusive: false, timeline: read.control.timeline } as const;
  const found = await pointOf(points, latest, { label: record.label }, signal).catch(unlessOwnTrouble); // Not to be reached, for whatever reason.
  signal.throwIfAborted();
  return found?.plan.stopBefore === null && parseLsn(found.plan.needsUpTo) === end;
}

/** Behind the checkpoint of the shutdown, which is the last record; where pg_wal is gone the mark of that stop tells. */
async function shutDownAt(
  { checkpointLsn, systemIdentifier, timeline, walSegmentSizeBytes: segmentSizeBytes }: ControlFile,
  dataDir: string,
  mark: KnownToHave['mark'],
  signal: AbortSignal,
): Promise<Lsn | undefined> {
  const identity = { systemIdentifier, timeline, segmentSizeBytes };
  const { last, end } = await readRecords(fromText(`${dataDir}/pg_wal`), identity, checkpointLsn, signal);
  if (last !== undefined) return end;
  return mark?.clean && mark.flushedLsn > checkpointLsn ? mark.flushedLsn : undefined;
}

/** A backup whose bytes are wrong is not used again unasked. Always throws what was thrown. */
const damageIn =
  (remember: RepositoryOf<BackupRecord>['remember']) =>
  async (label: string, read: Partial<BackupRecord>, thrown: unknown, signal: AbortSignal): Promise<never> => {
    if (thrown instanceof DbkitError && thrown.code === 'data.corrupt')
      await remember(label, (now) => ({ ...now, ...read, state: 'damaged', problem: thrown.message }), signal);
    throw thrown;
  };

async function rememberDrill(
  remember: RepositoryOf<BackupRecord>['remember'],
  label: string,
  drill: DrillReport,
  signal: AbortSignal,
): Promise<void> {
  const { at: provenAt, rtoMs } = drill;
  const failed = damages(drill);
  const proven = (now: BackupRecord): BackupRecord['state'] => (now.damage.length > 0 ? now.state : 'proven');
  if (drill.ok) await remember(label, (now) => ({ ...now, state: proven(now), provenAt, rtoMs, problem: null }), signal);
  else if (failed) await remember(label, (now) => ({ ...now, state: 'damaged', problem: `${failed.name}: ${failed.because}` }), signal);
}

/** All bytes are as they were written: that clears an earlier reading, but not pages that were damaged when they were copied. */
const stateAfter = ({ state, damage }: BackupRecord): BackupRecord['state'] =>
  state === 'proven' || damage.length > 0 ? state : 'verified';

/** The least position of the instance by its own word, where its pg_control can be read and is this cluster's; and what was noted of it. */
async function knownToHave(
  record: BackupRecord,
  { stateDir, dataDir }: { stateDir: string; dataDir: string },
  signal: AbortSignal,
): Promise<KnownToHave> {
  const cluster = await readCluster(dataDir, signal).catch(unlessOwnTrouble);
  signal.throwIfAborted();
  return {
    checkpointLsn: cluster?.systemIdentifier === record.systemIdentifier ? cluster.checkpointLsn : undefined,
    mark: await readMark(stateDir, dataDir, record.systemIdentifier),
  };
}

function reportBackup(record: BackupRecord, { log }: System): void {
  const { label, state, sizeBytes, newBytes, files, sharedFiles, previous, durationMs } = record;
  const fields = { label, state, sizeBytes, newBytes, files, sharedFiles, previous, durationMs };
  if (record.knownDamage.length > 0)
    log.warn(
      'backup.marked',
      `Base backup ${label} is of data with known damage (${record.knownDamage.map(({ path }) => path).join(', ')}) and does not count as good.`,
      fields,
    );
  else if (state === 'damaged') log.error('backup.damaged', `Base backup ${label} holds damaged pages and does not count as good.`, fields);
  else log.info('backup.created', `Base backup ${label} is complete.`, fields);
}
