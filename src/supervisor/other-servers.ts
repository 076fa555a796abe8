import type { Pulls } from '../backups/pull/pull.ts';
import type { Seeds } from '../backups/seed/seed.ts';
import type { Config } from '../config/config.ts';
import type { LoadedConfig } from '../config/layers.ts';
import { targetOf, withTarget } from '../instance/connection-only.ts';
import { serverOwner } from '../instance/owner.ts';
import { lazily } from '../kernel/load-on-demand.ts';
import type { System } from '../kernel/machine.ts';

interface OtherServers {
  readonly pulls: Pulls;
  readonly seeds: Seeds;
  serverOf(url: string): Promise<Config>;
}

/** Databases that come from elsewhere: another server, another dbkit's dump, the repository of a project; loaded with the first call. */
export function otherServers(loaded: LoadedConfig, system: System, surroundings: Parameters<typeof targetOf>[2]): OtherServers {
  const { config } = loaded;
  const needs = async () => ({ config, system, owner: await serverOwner(config.postgresql, system) });
  return {
    pulls: lazily(['pull'], async () => (await import('../backups/pull/pull.ts')).createPulls(await needs())),
    seeds: lazily(['make', 'load'], async () => (await import('../backups/seed/seed.ts')).createSeeds(await needs())),
    serverOf: async (url) => withTarget(loaded, await targetOf(url, 'the URL', surroundings), surroundings.environment),
  };
}
