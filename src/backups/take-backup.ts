import type { Config } from '../config/config.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import type { Logger } from '../kernel/machine.ts';
import { type Backup, type BackupOptions, type Backups, isGood } from './backup.ts';
import type { Carrier, Turn } from './carrier.ts';
import { expireQuarantine, type Reported } from './expire-quarantine.ts';
import { type ListedBackup, listed } from './list-backups.ts';
import type { Copies } from './offsite/copies.ts';
import type { ExpireQuarantined } from './quarantine-retention.ts';

/** The backup, or why none was taken here; on a member of a cluster also whose turn it is when the schedule wants one. */
export type BackupReport = ({ readonly backup: ListedBackup } | { readonly backup: null; readonly because: string }) & {
  readonly carrier?: Turn;
};

export interface TakeBackupInput extends BackupOptions {
  /** By name; undefined: the first. */
  readonly engine?: string | undefined;
  /** Only when the instance was written to since the last one. */
  readonly ifChanged: boolean;
  /** Base backups: only on the member of a cluster whose turn it is. */
  readonly ifCarrier?: boolean;
}

/** Takes one backup, and after a good one lets go of quarantined data that retention no longer keeps. Rejects with `usage.invalid` when there is no such engine. */
export async function takeBackup(
  app: {
    readonly backups: readonly Backups[];
    readonly expireQuarantined: ExpireQuarantined;
    readonly history: Reported;
    readonly log: Logger;
    readonly config: Pick<Config, 'copies'>;
    readonly offsite: Pick<Copies, 'copy' | 'pending' | 'expire'>;
    /** Copies that killed drills have left are as large as the data: each backup frees them. */
    readonly copies: { clearLeft(signal: AbortSignal): Promise<unknown> };
    readonly carrier: Carrier;
  },
  { engine: name, ifChanged, ifCarrier = false, ...options }: TakeBackupInput,
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
  const carrier = (kind.kind === 'physical' && (await app.carrier.turn(signal))) || undefined;
  const told = carrier && { carrier };
  if (ifCarrier && carrier?.isHere === false) return { backup: null, because: carrier.because, ...told };
  const change = ifChanged && kind.kind === 'physical' ? await kind.changedSinceLast(signal) : undefined;
  if (change && !change.changed) return { backup: null, because: change.because, ...told };
  const backup = listed(await kind.take(signal, options), kind.name);
  if (isGood(backup)) {
    await expireQuarantine(app, { dryRun: false }, signal).catch((cause: unknown) =>
      log.warn('quarantine.expire-failed', `the quarantine could not be cleaned up: ${wordsOf(cause)}`),
    );
  }
  const places = Object.entries(app.config.copies).flatMap(([name, { afterBackup }]) => (afterBackup ? [name] : []));
  if (backup.state !== 'damaged' && places.length > 0 && kind.name !== 'pgbackrest')
    await copyElsewhere(app, places, await ofTheSameCluster(kind, backup, signal), backup.systemIdentifier, signal);
  return { backup, ...told };
}

const ofTheSameCluster = async ({ repository }: Backups, made: ListedBackup, signal: AbortSignal): Promise<readonly Backup[]> =>
  (await repository.list(signal)).filter(({ systemIdentifier }) => systemIdentifier === made.systemIdentifier);

/**
 * Every backup that a place is not known to have, the one that was made now among them. A place that cannot be reached is told, and does not make
 * the backup a failure: the next run copies what is missing.
 */
async function copyElsewhere(
  app: { readonly offsite: Pick<Copies, 'copy' | 'pending' | 'expire'>; readonly log: Logger },
  places: readonly string[],
  backups: readonly Backup[],
  systemIdentifier: string,
  signal: AbortSignal,
): Promise<void> {
  const { offsite, log } = app;
  for (const copy of places) {
    for (const backup of await offsite.pending(copy, backups)) {
      try {
        const { label, place, sentBytes } = await offsite.copy(copy, backup, { otherCluster: false }, signal);
        log.info('backup.copied', `copied ${label} to ${copy}`, { label, copy, place, sentBytes });
      } catch (cause) {
        signal.throwIfAborted();
        log.error('backup.copy-failed', `${backup.label} could not be copied to ${copy}: ${wordsOf(cause)}`, { label: backup.label, copy });
        if (!(cause instanceof DbkitError && cause.code === 'data.corrupt')) break; // What ails the place ails the others too.
      }
    }
    if (!backups.every(isGood)) continue; // Older ones there may be all that holds what is damaged now.
    await offsite.expire(copy, { dryRun: false, clusters: [systemIdentifier] }, signal).catch((cause: unknown) => {
      signal.throwIfAborted();
      log.warn('copy.expire-failed', `the retention of ${copy} could not be applied: ${wordsOf(cause)}`, { copy });
    });
  }
}
