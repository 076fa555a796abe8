import { lstat, mkdir, readFile, readlink, rename, rm, symlink, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import * as v from 'valibot';
import { configFileElsewhere } from '../instance/external-configuration.ts';
import { clusterEntries, present, type Volume } from '../instance/volume.ts';
import type { Identity, System } from '../kernel/machine.ts';

/**
 * Replacing the content of PGDATA, entry by entry, inside it: a mount point cannot be renamed. The journal says what is under way and is
 * written before the first rename and removed after the last, so whoever comes next finishes the work. Always forward: the journal exists
 * only once `incoming` is complete, or when there is none.
 */
const journalSchema = v.strictObject({
  schema: v.literal('dbkit.journal/v1'),
  /** Where today's entries go; null when PGDATA is empty. */
  quarantine: v.nullable(v.string()),
  /** Whether a new cluster follows, and from where: `incoming` where nothing is said. */
  publishes: v.boolean(),
  from: v.optional(v.string()),
  phase: v.picklist(['set-aside', 'publish']),
  because: v.string(),
  startedAt: v.string(),
});
type Journal = v.InferOutput<typeof journalSchema>;

export interface Replacement {
  readonly quarantine: string | null;
  readonly publishes: boolean;
  readonly from?: string | undefined;
  readonly because: string;
}

/** Sets today's data aside, whole, and puts `incoming` in its place. Survives kill -9 at any instant (see finishReplacement). */
export async function replaceContents(volume: Volume, owner: Identity, replacement: Replacement, system: System): Promise<void> {
  if (replacement.publishes) await rememberConfiguration(volume, owner, replacement.from ?? volume.incoming, system);
  const journal: Journal = { schema: 'dbkit.journal/v1', ...replacement, phase: 'set-aside', startedAt: system.clock.now().toISOString() };
  await writeJournal(volume, owner, journal, system);
  system.reached('replace.journaled');
  await carryOn(volume, owner, journal, system);
}

/** No backup holds postmaster.opts, and it may be all that says where the configuration is. */
async function rememberConfiguration({ dataDir }: Volume, owner: Identity, incoming: string, { files }: System): Promise<void> {
  if ((await configFileElsewhere(dataDir)) === undefined || (await present(join(incoming, 'postgresql.conf')))) return;
  const options = await readFile(join(dataDir, 'postmaster.opts'), 'utf8').catch(() => undefined);
  if (options !== undefined) await files.write(join(incoming, 'postmaster.opts'), options, { mode: 0o600, owner });
}

/** Finishes what a killed run began; undefined when there was nothing. Call under the volume's lock. */
export async function finishReplacement(volume: Volume, owner: Identity, system: System): Promise<Replacement | undefined> {
  const journal = await system.files.readJson(volume.journal, (value) => v.parse(journalSchema, value));
  if (!journal) return undefined;
  system.log.warn('replacement.resumed', 'an earlier run was stopped while it replaced the data; finishing that first', {
    quarantine: journal.quarantine,
  });
  await carryOn(volume, owner, journal, system);
  return journal;
}

async function carryOn(volume: Volume, owner: Identity, journal: Journal, system: System): Promise<void> {
  if (journal.phase === 'set-aside') {
    if (journal.quarantine !== null) await setAside(volume, owner, journal.quarantine, system);
    system.reached('replace.set-aside');
    await writeJournal(volume, owner, { ...journal, phase: 'publish' }, system);
  }
  if (journal.publishes) await publish(volume, journal.from ?? volume.incoming, system);
  system.reached('replace.published');
  await unlink(volume.journal);
  await system.files.syncDirectory(dirname(volume.journal));
}

/** `global` goes first: from then on no server can mistake what is left for a database. */
async function setAside(volume: Volume, owner: Identity, quarantine: string, system: System): Promise<void> {
  await system.files.makeDirectory(quarantine, { mode: 0o700, owner });
  const entries = await clusterEntries(volume.dataDir);
  for (const name of entries.sort((a, b) => Number(b === 'global') - Number(a === 'global'))) {
    await rename(join(volume.dataDir, name), join(quarantine, name));
    system.reached('replace.entry-set-aside');
  }
  await keepOutsideWal(quarantine, system);
  await system.files.syncDirectory(quarantine);
  await system.files.syncDirectory(volume.dataDir);
}

/** A pg_wal that is a link leads out of PGDATA: its files are gathered in a folder there and the quarantined link follows them. */
async function keepOutsideWal(quarantine: string, system: System): Promise<void> {
  const link = join(quarantine, 'pg_wal');
  if (!(await lstat(link).catch(() => undefined))?.isSymbolicLink()) return;
  const target = resolve(quarantine, await readlink(link));
  const kept = join(target, `.dbkit-${quarantine.split('/').at(-1)}`);
  if (target.split('/').at(-1)?.startsWith('.dbkit-') || !(await present(target))) return; // Done by the run that was killed, or dangling.
  await mkdir(kept, { recursive: true, mode: 0o700 });
  for (const name of await clusterEntries(target)) {
    if (!name.startsWith('.dbkit-')) await rename(join(target, name), join(kept, name));
  }
  await rm(link);
  await symlink(kept, link);
  await system.files.syncDirectory(kept);
}

/** `global` comes last: only then is there a database to start. */
async function publish(volume: Volume, from: string, system: System): Promise<void> {
  const entries = await clusterEntries(from);
  for (const name of entries.sort((a, b) => Number(a === 'global') - Number(b === 'global'))) {
    await rename(join(from, name), join(volume.dataDir, name));
    system.reached('replace.entry-published');
  }
  await rm(from, { recursive: true, force: true }); // Nothing of a cluster is left in it.
  await system.files.syncDirectory(volume.dataDir);
}

async function writeJournal(volume: Volume, owner: Identity, journal: Journal, system: System): Promise<void> {
  await system.files.write(volume.journal, `${JSON.stringify(journal, null, 2)}\n`, { mode: 0o600, owner });
}
