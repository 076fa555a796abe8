import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ControlFile } from '../formats/control-file.ts';
import type { Local } from '../instance/local.ts';
import { carryConfiguration } from '../recovery/carry-configuration.ts';
import type { UpgradeReport } from './contract.ts';
import { mendSettings } from './mend-settings.ts';
import type { UpgradeMethod } from './methods.ts';
import type { OldCluster } from './old-cluster.ts';

const INITDB_TIMEOUT_MS = 10 * 60_000;

/** `local` has the new programs. Pure. */
export function initdbArguments(
  { template0, bootstrap }: Pick<OldCluster, 'template0' | 'bootstrap'>,
  { walSegmentSizeBytes, checksums }: Pick<ControlFile, 'walSegmentSizeBytes' | 'checksums'>,
  { major, method, directory }: { readonly major: number; readonly method: UpgradeMethod; readonly directory: string },
): string[] {
  const { encoding, collate, ctype, provider, locale } = template0;
  const byProvider =
    locale === null || major < 15
      ? []
      : provider === 'i'
        ? ['--locale-provider=icu', `--icu-locale=${locale}`]
        : provider === 'b' && major >= 17
          ? ['--locale-provider=builtin', `--builtin-locale=${locale}`]
          : [];
  const wantsChecksums = checksums || method === 'dump'; // pg_upgrade takes pages over as they are, and wants the two to agree.
  const checksumArgument = wantsChecksums ? ['--data-checksums'] : major >= 18 ? ['--no-data-checksums'] : [];
  return [
    `--pgdata=${directory}`,
    `--username=${bootstrap}`,
    `--encoding=${encoding}`,
    `--lc-collate=${collate}`,
    `--lc-ctype=${ctype}`,
    ...byProvider,
    `--wal-segsize=${walSegmentSizeBytes / 2 ** 20}`,
    ...checksumArgument,
    '--no-sync',
    '--auth-local=peer',
    '--auth-host=scram-sha-256',
  ];
}

/**
 * A new cluster of the new major in `staged`, made like the old one, with the old one's configuration. Resolves to the settings that the new major
 * does not accept.
 */
export async function makeNewCluster(
  local: Local,
  old: OldCluster,
  { control, method }: { readonly control: ControlFile; readonly method: UpgradeMethod },
  signal: AbortSignal,
): Promise<UpgradeReport['settings']> {
  const { system, owner, volume, binaries, lock } = local;
  const directory = volume.staged;
  await rm(directory, { recursive: true, force: true }); // Of an upgrade, or a restore, that was given up.
  await system.files.makeDirectory(directory, { mode: 0o700, owner });
  const args = initdbArguments(old, control, { major: binaries.major, method, directory });
  const env = { ...system.childEnvironment };
  await system.runner.run({ file: join(binaries.directory, 'initdb'), args, env, as: owner, lock, timeoutMs: INITDB_TIMEOUT_MS }, signal);
  await carryConfiguration(local, directory);
  return mendSettings(local, directory, signal);
}
