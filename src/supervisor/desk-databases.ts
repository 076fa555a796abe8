import type { Pulls } from '../backups/pull/pull.ts';
import type { Seeds } from '../backups/seed/seed.ts';
import type { Snapshots } from '../backups/snapshots/contract.ts';
import type { Config } from '../config/config.ts';
import type { LoadedConfig } from '../config/layers.ts';
import { targetOf, withTarget } from '../instance/connection-only.ts';
import { serverOwner } from '../instance/owner.ts';
import { lazily } from '../kernel/load-on-demand.ts';
import type { System } from '../kernel/machine.ts';
import type { Copies } from '../restore/copies-contract.ts';

interface DeskDatabases {
  readonly snapshots: Snapshots;
  readonly pulls: Pulls;
  readonly seeds: Seeds;
  serverOf(url: string): Promise<Config>;
}

/** Single databases: copies in the server, those of another server or dump, that of a project's repository; loaded with the first call. */
export function deskDatabases(
  loaded: LoadedConfig,
  system: System,
  { copies, ...surroundings }: Parameters<typeof targetOf>[2] & { readonly copies: Copies },
): DeskDatabases {
  const { config } = loaded;
  const needs = async () => ({ config, system, owner: await serverOwner(config.postgresql, system) });
  return {
    snapshots: lazily(['save', 'list', 'restore', 'delete', 'diff', 'turn', 'nameBranch'], async () =>
      (await import('../backups/snapshots/snapshots.ts')).createSnapshots({ config, system }),
    ),
    pulls: lazily(['pull'], async () => {
      const [{ createPulls }, { pullsFromBackups }] = await Promise.all([
        import('../backups/pull/pull.ts'),
        import('./pull-from-backup.ts'),
      ]);
      const given = await needs();
      return pullsFromBackups({ ...given, copies }, createPulls(given));
    }),
    seeds: lazily(['make', 'load'], async () => (await import('../backups/seed/seed.ts')).createSeeds(await needs())),
    serverOf: async (url) => withTarget(loaded, await targetOf(url, 'the URL', surroundings), surroundings.environment),
  };
}
