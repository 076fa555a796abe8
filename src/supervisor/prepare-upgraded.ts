import type { PostgresqlOptions } from '../boot/hold.ts';
import type { Keeper } from '../boot/keeper.ts';
import { versionFile } from '../inspection/state.ts';
import { findBinaries } from '../instance/binaries.ts';
import type { Upgrade } from '../upgrade/contract.ts';

/**
 * A start that first upgrades the data, where POSTGRES_BIN_DIR or POSTGRES_VERSION name a newer major (`recovery.upgrade: auto`). Rejects with what
 * stands in the way: the data is as it was then.
 */
export const prepareUpgraded =
  ({ config, system }: PostgresqlOptions, upgrade: Upgrade, keeper: Keeper): Keeper['prepare'] =>
  async (signal) => {
    const { dataDir, binDir, version } = config.postgresql;
    const from = versionFile(dataDir);
    if (from !== null) {
      const to = binDir === undefined ? version : (await findBinaries({ major: undefined, directory: binDir }, system, signal)).major;
      if (to !== undefined && to > from) {
        system.log.warn('upgrade.automatic', `the data is of PostgreSQL ${from}: upgrading it to ${to}, as recovery.upgrade asks for`, {
          from,
          to,
        });
        await upgrade.run({ to, oldBinDir: undefined, method: undefined, allowMissing: false }, undefined, signal);
        keeper.forget();
      }
    }
    await keeper.prepare(signal);
  };

/** A start that leaves the data of an older major as it is (`recovery.upgrade: ask`), and says how it gets to the one that POSTGRES_VERSION names. */
export const prepareOlder =
  ({ config, system }: PostgresqlOptions, keeper: Keeper): Keeper['prepare'] =>
  async (signal) => {
    await keeper.prepare(signal);
    const { dataDir, binDir, version } = config.postgresql;
    const from = versionFile(dataDir);
    if (from === null || binDir !== undefined || version === undefined || version <= from) return;
    system.log.info(
      'upgrade.possible',
      `PostgreSQL ${from} serves, as the data is of it; the configuration names ${version}: \`dbkit upgrade --dry-run\` says what an upgrade takes`,
      { from, to: version },
    );
  };
