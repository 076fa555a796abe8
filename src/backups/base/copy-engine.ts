import type { Config } from '../../config/config.ts';
import type { Lsn } from '../../formats/wal-segment.ts';
import { DbkitError, errnoOf } from '../../kernel/errors.ts';
import type { Identity, System } from '../../kernel/machine.ts';
import { durationMs } from '../../kernel/units.ts';
import type { Backup, BackupEngine } from '../backup.ts';
import { damages } from '../drill.ts';
import { expireBackups } from '../expire.ts';
import { openRepository, type Repository } from '../repository.ts';
import { planRetention, type RetentionPolicy } from '../retention.ts';
import { changedSince } from './changed-since.ts';
import { readCluster } from './cluster.ts';
import { createBackup } from './create.ts';
import { descendsFrom } from './descent.ts';
import { type BackupRecord, describeRecord, toBackup } from './record.ts';
import { restoreBackup } from './restore.ts';
import { planRollForward } from './roll-forward.ts';
import { findSameFiles } from './same-files.ts';
import { type VerifyNeeds, verifyBackup } from './verify.ts';

/** Base backups as plain directories; it knows everything that an engine may be asked. */
export type CopyEngine = Required<Omit<BackupEngine, 'load' | 'onScratchDatabase'>>;

export interface CopyEngineNeeds {
  readonly config: Config;
  readonly system: System;
  readonly dataDir: string;
  /** Who owns what is written, when dbkit runs as root. */
  readonly owner: Identity;
}

/**
 * The engine `copy` (DESIGN.md section 5). `backup` also expires what retention no longer keeps, but only after a good backup; a backup with
 * damaged pages is kept and returned with the state `damaged`. Every rejection leaves the list of backups as it was.
 */
export function createCopyEngine({ config, system, dataDir, owner }: CopyEngineNeeds): CopyEngine {
  const fileOwner = system.self.uid === 0 ? owner : undefined;
  const repository = openRepository(config.backupDir, fileOwner, system);
  const { last = config.maxBackups, daily, weekly, monthly, maxAge } = config.retention;
  const policy: RetentionPolicy = { last, daily, weekly, monthly, maxAgeMs: maxAge === undefined ? undefined : durationMs(maxAge) };
  const seen: VerifyNeeds['seen'] = new Map();
  const asBackup = (record: BackupRecord): Backup => toBackup(record, repository.pathOf(record.label));

  return {
    name: 'copy',
    kind: 'physical',
    list: (signal) => inWords(`list the backups in ${config.backupDir}`, async () => (await repository.records(signal)).map(asBackup)),
    backup: (signal, options = {}) =>
      inWords('take a base backup', async () =>
        repository.locked(
          'backup',
          async () => {
            const record = await createBackup({ config, system, dataDir, owner: fileOwner, repository, options }, signal);
            reportBackup(record, system);
            if (record.state !== 'damaged') await expireBackups(repository, { ...policy, justMade: record.label }, system, signal);
            return asBackup(record);
          },
          signal,
          options.waitMs,
        ),
      ),
    restore: (backup, target, signal) =>
      inWords(`restore ${backup.label}`, async () => {
        const record = await recordOf(repository, backup, signal);
        const rolled = await planRollForward(record, target.walFrom, await lastCheckpoint(record, dataDir, signal), signal);
        const needs = { record, rolled, source: repository.pathOf(record.label), owner: fileOwner, system };
        return repository
          .reading(record.label, () => restoreBackup(needs, target, signal))
          .catch((thrown: unknown) => rememberDamage(record, {}, thrown, signal));
      }),
    rollsForward: (backup, from, signal) =>
      inWords(`look at the WAL since ${backup.label}`, async () => {
        const record = await recordOf(repository, backup, signal);
        return (await planRollForward(record, `${from}/pg_wal`, await lastCheckpoint(record, from, signal), signal)).complete;
      }),
    sameFiles: (backup, files, signal) =>
      inWords(`look for files in ${backup.label}`, async () =>
        findSameFiles(await recordOf(repository, backup, signal), repository.pathOf(backup.label), files, signal),
      ),
    verify: (backup, signal, { deep } = { deep: false }) =>
      inWords(`verify ${backup.label}`, async () => {
        const record = await recordOf(repository, backup, signal);
        const verifiedAt = system.clock.now().toISOString();
        const read = { verifiedAt, verifiedDeep: deep };
        const needs = { deep, seen, log: system.log };
        await repository
          .reading(record.label, () => verifyBackup(record, repository.pathOf(record.label), needs, signal))
          .catch((thrown: unknown) => rememberDamage(record, read, thrown, signal));
        await remember(record, (now) => ({ ...now, ...read, state: stateAfter(now), problem: null }), signal);
      }),
    prove: async (backup, drill, signal) => {
      const { at: provenAt, rtoMs } = drill;
      const failed = damages(drill);
      const proven = (now: BackupRecord): BackupRecord['state'] => (now.damage.length > 0 ? now.state : 'proven');
      if (drill.ok) await remember(backup, (now) => ({ ...now, state: proven(now), provenAt, rtoMs, problem: null }), signal);
      else if (failed)
        await remember(backup, (now) => ({ ...now, state: 'damaged', problem: `${failed.name}: ${failed.because}` }), signal);
    },
    descends: async (backup, from, signal) => descendsFrom(await recordOf(repository, backup, signal), from, signal),
    describe: async (backup, signal) => describeRecord(await recordOf(repository, backup, signal)),
    annotate: (backup, words, signal) =>
      inWords(`write the record of ${backup.label}`, async () => {
        const changed = await repository.change(backup.label, (record) => ({ ...record, ...words }), signal);
        return asBackup(changed ?? (await recordOf(repository, backup, signal)));
      }),
    expire: ({ dryRun }, signal) =>
      inWords('apply retention', async () => {
        if (dryRun) return planRetention(await repository.records(signal), policy);
        return repository.locked('expire', () => expireBackups(repository, policy, system, signal), signal);
      }),
    async changedSinceLast(signal) {
      return changedSince((await repository.records(signal)).at(-1), dataDir, signal);
    },
  };

  /** A backup whose bytes are wrong is not used again unasked. Always throws what was thrown. */
  async function rememberDamage(record: BackupRecord, read: Partial<BackupRecord>, thrown: unknown, signal: AbortSignal): Promise<never> {
    if (thrown instanceof DbkitError && thrown.code === 'data.corrupt')
      await remember(record, (now) => ({ ...now, ...read, state: 'damaged', problem: thrown.message }), signal);
    throw thrown;
  }

  /** What a reading found; a repository that cannot be written keeps its old record, and the result still reaches the caller. */
  async function remember(
    { label }: { readonly label: string },
    change: (record: BackupRecord) => BackupRecord,
    signal: AbortSignal,
  ): Promise<void> {
    await repository.change(label, change, signal).catch((cause: unknown) => {
      signal.throwIfAborted();
      const reason = cause instanceof Error ? cause.message : String(cause);
      system.log.warn('backup.not-recorded', `The result of verifying ${label} could not be recorded.`, { label, reason });
    });
  }
}

/** All bytes are as they were written: that clears an earlier reading, but not pages that were damaged when they were copied. */
const stateAfter = ({ state, damage }: BackupRecord): BackupRecord['state'] =>
  state === 'proven' || damage.length > 0 ? state : 'verified';

/** What the instance itself says it had come to at least; undefined when its pg_control cannot be read or is another cluster's. */
async function lastCheckpoint(record: BackupRecord, dataDir: string, signal: AbortSignal): Promise<Lsn | undefined> {
  const cluster = await readCluster(dataDir, signal).catch(() => undefined);
  signal.throwIfAborted();
  return cluster?.systemIdentifier === record.systemIdentifier ? cluster.checkpointLsn : undefined;
}

async function recordOf(repository: Repository, { label }: Backup, signal: AbortSignal): Promise<BackupRecord> {
  const record = (await repository.records(signal)).find((candidate) => candidate.label === label);
  if (record) return record;
  throw new DbkitError('command.failed', `there is no backup ${label} in ${repository.path}`, {
    hint: '`dbkit backup list` shows what there is',
  });
}

function reportBackup(record: BackupRecord, { log }: System): void {
  const { label, state, sizeBytes, newBytes, files, sharedFiles, previous, durationMs } = record;
  const fields = { label, state, sizeBytes, newBytes, files, sharedFiles, previous, durationMs };
  if (state === 'damaged') log.error('backup.damaged', `Base backup ${label} holds damaged pages and does not count as good.`, fields);
  else log.info('backup.created', `Base backup ${label} is complete.`, fields);
}

/** System calls that fail on a full, read-only or broken disk become failures a person can act on. */
async function inWords<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const errno = errnoOf(thrown);
    const { message = '' } = thrown instanceof Error ? thrown : {};
    if (thrown instanceof DbkitError || errno === undefined || !/^E[A-Z0-9]+$/.test(errno)) throw thrown;
    const options = { cause: thrown };
    if (errno === 'ENOSPC' || errno === 'EDQUOT') {
      throw new DbkitError('volume.full', `cannot ${doing}: the volume is full`, { ...options, hint: 'free some space and try again' });
    }
    if (errno === 'EROFS')
      throw new DbkitError('volume.read-only', `cannot ${doing}: the volume is read-only`, { ...options, hint: 'mount it writable' });
    throw new DbkitError('command.failed', `cannot ${doing}: ${message}`, {
      ...options,
      hint: 'see that the volumes are healthy and readable',
    });
  }
}
