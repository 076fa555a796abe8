import type { Config } from '../config/config.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import type { Logger } from '../kernel/machine.ts';
import { type BackupOptions, type Backups, isGood } from './backup.ts';
import { expireQuarantine, type Reported } from './expire-quarantine.ts';
import { type ListedBackup, listed } from './list-backups.ts';
import type { Copies } from './offsite/copies.ts';
import type { ExpireQuarantined } from './quarantine-retention.ts';

/** The backup, or why none was needed. */
export type BackupReport = { readonly backup: ListedBackup } | { readonly backup: null; readonly because: string };

export interface TakeBackupInput extends BackupOptions {
  /** By name; undefined: the first. */
  readonly engine?: string | undefined;
  /** Only when the instance was written to since the last one. */
  readonly ifChanged: boolean;
}

/** Takes one backup, and after a good one lets go of quarantined data that retention no longer keeps. Rejects with `usage.invalid` when there is no such engine. */
export async function takeBackup(
  app: {
    readonly backups: readonly Backups[];
    readonly expireQuarantined: ExpireQuarantined;
    readonly history: Reported;
    readonly log: Logger;
    readonly config: Pick<Config, 'copies'>;
    readonly offsite: Pick<Copies, 'copy'>;
    /** Copies that killed drills have left are as large as the data: each backup frees them. */
    readonly copies: { clearLeft(signal: AbortSignal): Promise<unknown> };
  },
  { engine: name, ifChanged, ...options }: TakeBackupInput,
  signal: AbortSignal,
): Promise<BackupReport> {
  const { backups, log } = app;
  const kind = name === undefined ? backups[0] : backups.find((candidate) => candidate.name === name);
  if (!kind) {
    if (name === undefined || backups.length === 0) throw new DbkitError('usage.invalid', 'no service here can be backed up');
    throw new DbkitError('usage.invalid', `there is no backup engine '${name}'`, {
      hint: `there are: ${backups.map((candidate) => candidate.name).join(', ')}`,
    });
  }
  if (kind.kind === 'physical' && (options.databases !== undefined || options.rolePasswords))
    throw new DbkitError('usage.invalid', 'a base backup holds every database, with its roles and their passwords', {
      hint: '--engine dump takes single databases',
    });
  await app.copies
    .clearLeft(signal)
    .catch((cause: unknown) => log.warn('copies.left', `copies that a killed run has left could not be removed: ${wordsOf(cause)}`));
  const change = ifChanged && kind.kind === 'physical' ? await kind.changedSinceLast(signal) : undefined;
  if (change && !change.changed) return { backup: null, because: change.because };
  const backup = listed(await kind.take(signal, options), kind.name);
  if (isGood(backup)) {
    await expireQuarantine(app, { dryRun: false }, signal).catch((cause: unknown) =>
      log.warn('quarantine.expire-failed', `the quarantine could not be cleaned up: ${wordsOf(cause)}`),
    );
  }
  if (backup.state !== 'damaged') await copyElsewhere(app, backup, signal);
  return { backup };
}

/** A place that cannot be reached is told, and does not make the backup a failure: the next run copies what is missing. */
async function copyElsewhere(
  { config, offsite, log }: { readonly config: Pick<Config, 'copies'>; readonly offsite: Pick<Copies, 'copy'>; readonly log: Logger },
  backup: ListedBackup,
  signal: AbortSignal,
): Promise<void> {
  for (const [copy, { afterBackup }] of Object.entries(config.copies)) {
    if (!afterBackup) continue;
    try {
      const { label, place, sentBytes } = await offsite.copy(copy, backup, { otherCluster: false }, signal);
      log.info('backup.copied', `copied ${label} to ${copy}`, { label, copy, place, sentBytes });
    } catch (cause) {
      signal.throwIfAborted();
      log.error('backup.copy-failed', `${backup.label} could not be copied to ${copy}: ${wordsOf(cause)}`, { label: backup.label, copy });
    }
  }
}
