import type { Backups } from '../backups/backup.ts';
import { expireBackups } from '../backups/expire-backups.ts';
import type { ExpireQuarantined } from '../backups/quarantine-retention.ts';
import type { Config } from '../config/config.ts';
import type { Instance } from '../instance/contract.ts';
import { isAbort, wordsOf } from '../kernel/errors.ts';
import type { Logger } from '../kernel/machine.ts';
import type { RecoveryHistory } from '../recovery/history-contract.ts';
import type { Upkeep } from './contract.ts';

type Needs = {
  readonly config: Config;
  readonly instance: Instance;
  readonly upkeep: Upkeep;
  readonly expireQuarantined: ExpireQuarantined;
  readonly backups: readonly Backups[];
  readonly history: RecoveryHistory;
  readonly log: Logger;
};

/**
 * The first step of a recovery where a volume is nearly full (`health.disk.critical`): removes there what dbkit's own rules do not keep any more, old
 * logs, expired backups and quarantined data. Nothing else is touched, and never anything in PGDATA. Never rejects but when it is cancelled: a
 * recovery that finds no room says so itself.
 */
export async function makeRoom(app: Needs, signal: AbortSignal): Promise<void> {
  const { config, instance, upkeep, log } = app;
  const { critical } = config.health.disk;
  const { logs, backups } = await instance.fullness();
  const kinds = [
    [logs, config.logDir, () => upkeep.pruneLogs({ dryRun: false, onlyRemove: true }, signal)],
    [backups, config.backupDir, () => expireBackups(app, { dryRun: false }, signal)],
  ] as const;
  for (const [percent, folder, prune] of kinds) {
    if (percent < critical) continue;
    log.info('room.made', `the volume of ${folder} is ${percent} % full: what dbkit need not keep there is removed first`, {
      folder,
      percent,
    });
    try {
      await prune();
    } catch (cause) {
      if (isAbort(cause)) throw cause;
      log.warn('room.not-made', `nothing could be removed from ${folder}: ${wordsOf(cause)}`, { folder });
    }
  }
}
