import { join } from 'node:path';
import type { Hold } from '../boot/hold.ts';
import { dropInventory } from '../inspection/inventory.ts';
import type { KnownDamage } from '../inspection/known-damage.ts';
import { readControl } from '../inspection/state.ts';
import { serverOn } from '../instance/guard/preflight.ts';
import { clusterEntries, present } from '../instance/volume.ts';
import { DbkitError } from '../kernel/errors.ts';
import { closeToOthers } from '../recovery/close-to-others.ts';
import { damageThatGoes } from '../recovery/damage-aside.ts';
import { newQuarantine } from '../recovery/quarantine.ts';
import { replaceContents } from '../recovery/replace.ts';
import { forgetUntold } from '../recovery/untold.ts';
import { forgetEnd } from '../wal/brought-end.ts';
import { forgetMarks } from '../wal/mark.ts';

/** A complete cluster below PGDATA's own folder of dbkit's, why it is to be the instance, and the damage that is known of it. */
export interface Successor {
  readonly directory: string;
  readonly because: string;
  /** Undefined: nothing is known of it. */
  readonly knownDamage: readonly KnownDamage[] | undefined;
  /** Of the data that goes; null where it is not known. */
  readonly systemIdentifier: string | null;
}

/**
 * Sets today's data aside, whole, and lets a complete cluster take its place, through the journal. The server must be down. Resolves to where
 * today's data went; null where there was none.
 */
export async function takePlace({ local }: Hold, { directory, because, knownDamage, systemIdentifier }: Successor): Promise<string | null> {
  const { volume, stateDir, system } = local;
  const server = await serverOn(volume.dataDir);
  if (typeof server === 'object')
    throw new DbkitError('server.running', `the server (pid ${server.pid}) still runs on ${volume.dataDir}`, {
      hint: 'try again; nothing was changed',
    });
  if (!(await present(join(directory, 'global/pg_control'))))
    throw new DbkitError('command.failed', `${directory} is gone`, { hint: 'start again; nothing was changed' });
  await closeToOthers(volume.dataDir);
  const quarantine = (await clusterEntries(volume.dataDir)).length > 0 ? await newQuarantine(local, 'replaced') : null;
  await dropInventory(system, stateDir); // It describes the data that goes.
  const damage = await damageThatGoes(local, systemIdentifier, []);
  const read = readControl(directory);
  const brings =
    knownDamage !== undefined && 'control' in read
      ? { systemIdentifier: read.control.systemIdentifier, entries: [...knownDamage] }
      : undefined;
  await replaceContents(local, { quarantine, publishes: true, from: directory, because, damage, brings });
  await forgetMarks(stateDir, volume.dataDir); // They say how far the data had come that went.
  await Promise.all([forgetEnd(volume.dataDir), forgetUntold(volume.dataDir)]);
  return quarantine;
}
