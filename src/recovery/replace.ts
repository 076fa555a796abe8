import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { damageMemory } from '../inspection/known-damage.ts';
import { configFileElsewhere } from '../instance/external-configuration.ts';
import type { Local } from '../instance/local.ts';
import { mountsBelow } from '../instance/mounts.ts';
import { clusterEntries, present, type Volume } from '../instance/volume.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Identity, System } from '../kernel/machine.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { readPlainText } from '../machine/plain-file.ts';
import { type Journal, removeJournal, writeJournal } from './journal.ts';
import { handlingOf } from './mounted-entries.ts';
import { gatherLinkedWal, gatherMountedWal, spreadMountedWal } from './outside-wal.ts';

export interface Replacement {
  readonly quarantine: string | null;
  readonly publishes: boolean;
  readonly from?: string | undefined;
  readonly damage?: Journal['damage'];
  readonly brings?: Journal['brings'];
  readonly because: string;
}

/** The parts of an instance that a replacement works on. */
export type Replaced = Pick<Local, 'volume' | 'stateDir' | 'owner' | 'system'>;

/**
 * Sets today's data aside, whole, and puts `incoming` in its place, entry by entry, inside PGDATA: a mount point cannot be renamed. Survives
 * kill -9 at any instant (see finishReplacement). Rejects with `recovery.refused` before anything is moved where a mount is in the way.
 */
export async function replaceContents(local: Replaced, replacement: Replacement): Promise<void> {
  const { volume, owner, system } = local;
  await mountsInTheWay(volume.dataDir);
  const from = replacement.from ?? volume.incoming;
  if (replacement.publishes) await rememberConfiguration(volume, owner, from, system);
  const entries = replacement.publishes ? await clusterEntries(from) : [];
  const startedAt = system.clock.now().toISOString();
  const journal: Journal = { schema: 'dbkit.journal/v1', ...replacement, entries, phase: 'set-aside', startedAt };
  await writeJournal(volume, owner, journal, system);
  system.reached('replace.journaled');
  await carryOn(local, journal);
}

/** No backup holds postmaster.opts, and it may be all that says where the configuration is. */
async function rememberConfiguration({ dataDir }: Volume, owner: Identity, incoming: string, { files }: System): Promise<void> {
  if ((await configFileElsewhere(dataDir)) === undefined || (await present(join(incoming, 'postgresql.conf')))) return;
  const options = await readPlainText(join(dataDir, 'postmaster.opts')).catch(unlessOwnTrouble);
  if (options !== undefined) await files.write(join(incoming, 'postmaster.opts'), options, { mode: 0o600, owner });
}

/** Entries that are mount points: those that stay as they are, and those whose contents are moved. */
export interface MountedEntries {
  readonly stay: ReadonlySet<string>;
  readonly contents: ReadonlySet<string>;
}

/** Rejects with `recovery.refused`, naming the mount, where the data around it cannot be replaced. */
export async function mountsInTheWay(dataDir: string): Promise<MountedEntries> {
  const mounts = (await mountsBelow(dataDir)).map((mounted) => ({ ...mounted, handling: handlingOf(mounted) }));
  const [refused] = mounts.filter(({ handling }) => handling === 'refuse');
  if (refused)
    throw new DbkitError('recovery.refused', `${join(dataDir, refused.path)} is a mount point, and the data around it cannot be replaced`, {
      hint: `unmount it first, or restore to another place: \`dbkit backup restore LABEL --target DIR\`; nothing was changed`,
    });
  const named = (wanted: string): ReadonlySet<string> =>
    new Set(mounts.filter(({ handling }) => handling === wanted).map(({ path }) => path));
  return { stay: named('stays'), contents: named('contents') };
}

/** Both halves of a replacement, from where the journal says it is, and the memory of damage that belongs to the data that is there then. */
export async function carryOn({ volume, stateDir, owner, system }: Replaced, journal: Journal): Promise<void> {
  if (journal.phase === 'set-aside') {
    if (journal.quarantine !== null) await setAside(volume, owner, { ...journal, quarantine: journal.quarantine }, system);
    system.reached('replace.set-aside');
    await writeJournal(volume, owner, { ...journal, phase: 'publish' }, system);
  }
  if (journal.publishes) await publish(volume, journal.from ?? volume.incoming, system);
  system.reached('replace.published');
  const { brings } = journal;
  if (brings) await damageMemory({ dataDir: volume.dataDir, stateDir }, system).settle(brings.systemIdentifier, brings.entries);
  await removeJournal(volume, system);
}

/**
 * `global` goes first: from then on no server can mistake what is left for a database. PG_VERSION goes last: what is left is known for a
 * cluster's until then.
 */
async function setAside(
  volume: Volume,
  owner: Identity,
  { quarantine, damage }: { readonly quarantine: string; readonly damage?: Journal['damage'] },
  system: System,
): Promise<void> {
  const { stay, contents } = await mountsInTheWay(volume.dataDir);
  await system.files.makeDirectory(quarantine, { mode: 0o700, owner });
  if (damage !== undefined) {
    await system.files.makeDirectory(join(quarantine, '.dbkit'), { mode: 0o700, owner }); // Where nothing is in it, no damage was known.
    await damageMemory({ dataDir: quarantine, stateDir: undefined }, system).remember(damage.systemIdentifier, damage.entries);
  }
  const rank = (name: string): number => (name === 'global' ? 0 : name === 'PG_VERSION' ? 2 : 1);
  const entries = (await clusterEntries(volume.dataDir)).filter((name) => !stay.has(name));
  for (const name of entries.sort((a, b) => rank(a) - rank(b))) {
    if (contents.has(name)) await gatherMountedWal(join(volume.dataDir, name), quarantine, system);
    else await rename(join(volume.dataDir, name), join(quarantine, name));
    system.reached('replace.entry-set-aside');
  }
  await gatherLinkedWal(quarantine, system);
  await system.files.syncDirectory(quarantine);
  await system.files.syncDirectory(volume.dataDir);
}

/** `global` comes last: only then is there a database to start. */
export async function publish(volume: Volume, from: string, system: System): Promise<void> {
  const { stay, contents } = await mountsInTheWay(volume.dataDir);
  const entries = (await clusterEntries(from)).filter((name) => !stay.has(name));
  for (const name of entries.sort((a, b) => Number(a === 'global') - Number(b === 'global'))) {
    if (contents.has(name)) await spreadMountedWal(join(from, name), join(volume.dataDir, name), system);
    else await rename(join(from, name), join(volume.dataDir, name));
    system.reached('replace.entry-published');
  }
  for (const name of stay) system.log.info('replace.mounted', `${join(volume.dataDir, name)} is mounted, and stays as it is`, { name });
  await rm(from, { recursive: true, force: true }); // Nothing of a cluster is left in it.
  await system.files.syncDirectory(volume.dataDir);
}
