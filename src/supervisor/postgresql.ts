import { sources } from '../backups/find-baseline.ts';
import { expireQuarantine } from '../backups/quarantine.ts';
import type { ExpireQuarantined } from '../backups/quarantine-retention.ts';
import type { PostgresqlOptions } from '../boot/hold.ts';
import { lazyKeeper } from '../boot/lazy-keeper.ts';
import type { Leading } from '../health/leading.ts';
import type { Inspect } from '../inspection/report.ts';
import type { Instance } from '../instance/contract.ts';
import { createInstance } from '../instance/instance.ts';
import { lazily, loadedOnce } from '../kernel/load-on-demand.ts';
import { createDamage, type Damage } from '../recovery/accept-damage.ts';
import type { Recover } from '../recovery/report.ts';
import type { Restorer } from '../restore/contract.ts';
import type { Copies } from '../restore/copies-contract.ts';
import type { GameDays } from '../restore/game-days/contract.ts';
import type { KeptWal } from '../restore/kept-wal.ts';
import type { Salvage } from '../salvage/report.ts';
import type { Upgrade } from '../upgrade/contract.ts';
import type { Upkeep } from '../upkeep/contract.ts';
import { createBackupWishes } from './backup-wishes.ts';
import { prepareOlder, prepareUpgraded } from './prepare-upgraded.ts';
import type { Service } from './service.ts';

/** All that dbkit can do with PostgreSQL: the service that the supervisor runs, and one façade for each thing that commands do. */
export interface Postgresql {
  readonly service: Service;
  readonly instance: Instance;
  readonly inspect: Inspect;
  readonly damage: Damage;
  readonly recover: Recover;
  readonly restorer: Restorer;
  readonly copies: Copies;
  readonly salvage: Salvage;
  readonly upgrade: Upgrade;
  readonly upkeep: Upkeep;
  readonly keptWal: KeptWal;
  readonly gameDays: GameDays;
  readonly expireQuarantined: ExpireQuarantined;
}

/** The table of contents of PostgreSQL support. What a plain start never asks for is loaded with the first call. */
export function createPostgresql(options: PostgresqlOptions & { readonly leading?: Leading | undefined }): Postgresql {
  const { config, system, onFail, backups } = options;
  const { restart } = config.postgresql;
  const wishes = createBackupWishes();
  const keeper = lazyKeeper(async () => (await import('../boot/keeper.ts')).createKeeper({ ...options, wantBackup: wishes.want }));
  const { inspect } = lazily(['inspect'], async () => ({
    inspect: (await import('../inspection/look.ts')).createInspect(
      config,
      system,
      sources(backups, { backupDir: config.backupDir, system }),
    ),
  }));
  const restorer = lazily(['plan', 'stage', 'publish', 'replace'], async () =>
    (await import('../restore/restorer.ts')).createRestorer(options, keeper),
  );
  const salvage = lazily(['salvage'], async () => ({ salvage: (await import('../salvage/salvage-data.ts')).createSalvage(options) }));
  const upgrade = lazily(['plan', 'backUp', 'run'], async () => (await import('../upgrade/upgrade.ts')).createUpgrade(options));
  return {
    service: {
      name: 'postgresql',
      dependsOn: [],
      onFail,
      restart: {
        policy: restart.policy,
        backoffMs: restart.backoffSeconds * 1000,
        backoffMaxMs: restart.backoffMaxSeconds * 1000,
        max: restart.max,
        windowMs: restart.windowSeconds * 1000,
      },
      stopTimeoutMs: config.stopSeconds * 1000,
      prepare: config.recovery.upgrade === 'auto' ? prepareUpgraded(options, upgrade, keeper) : prepareOlder(options, keeper),
      start: keeper.start,
      recover: keeper.recover,
      restorer,
      upgrader: {
        plan: upgrade.plan,
        run: async (...asked) => {
          const report = await upgrade.run(...asked);
          keeper.forget();
          return report;
        },
      },
      lastRecovery: keeper.lastRecovery,
      onLaterReport: keeper.onLaterReport,
      backupWanted: wishes.next,
      probes: loadedOnce(async () => (await import('../health/probes/probes.ts')).createProbes(options)),
      backups,
    },
    instance: createInstance(config, system),
    inspect,
    damage: createDamage({ dataDir: config.postgresql.dataDir, stateDir: config.stateDir }, inspect, system),
    recover: keeper.recover,
    restorer,
    copies: lazily(['copyTo', 'open', 'bringTables', 'clearLeft', 'drill'], async () =>
      (await import('../restore/copies.ts')).createCopies(options),
    ),
    ...salvage,
    upgrade,
    upkeep: lazily(['needs', 'run', 'checkpoint', 'pruneLogs', 'amcheck'], async () =>
      (await import('../upkeep/upkeep.ts')).createUpkeep(options),
    ),
    keptWal: lazily(['status', 'verify', 'expire', 'fetch', 'fetchAhead', 'receive'], async () =>
      (await import('../restore/kept-wal.ts')).createKeptWal(options),
    ),
    gameDays: lazily(['rehearse', 'history'], async () => (await import('../restore/game-days/rehearse.ts')).createGameDays(options)),
    expireQuarantined: (wish, signal) => expireQuarantine(config, system, wish, signal),
  };
}
