import { lstat, realpath, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, normalize, resolve } from 'node:path';
import type { Local } from '../instance/local.ts';
import { clusterEntries, quarantineRoots, type Volume } from '../instance/volume.ts';
import { DbkitError } from '../kernel/errors.ts';
import { makeLabel, parseLabel } from '../kernel/labels.ts';
import type { Identity, System } from '../kernel/machine.ts';
import { namesIn } from '../machine/is-there.ts';
import { type Journal, readJournal, removeJournal, writeJournal } from './journal.ts';
import { gatherMountedWal, putBackWal } from './outside-wal.ts';
import { carryOn, mountsInTheWay, publish, type Replaced } from './replace.ts';
import { type Remains, resume } from './resumption.ts';

/** Without any of these two halves are no cluster. */
const vital = ['PG_VERSION', 'base', 'global', 'pg_wal', 'pg_xact'];

interface Found {
  readonly remains: Remains;
  readonly journal: Journal | undefined;
  /** Where the data is that was set aside; undefined when there is none that could be it. */
  readonly aside: string | undefined;
  /** A folder with the rest of a new cluster. */
  readonly rest: string | undefined;
}

/**
 * Finishes what a killed run began, or takes it back where its pieces are gone (kernel/resumption.ts); true when something was done. Call under
 * the volume's lock. Rejects with `recovery.refused` when neither is possible.
 */
export async function finishReplacement(local: Replaced & Pick<Local, 'backupDir'>): Promise<boolean> {
  const { volume, backupDir, owner, system } = local;
  const found = await lookForRemains(volume, backupDir);
  const { id, then, words } = resume(found.remains);
  if (then === 'forget' && found.remains.journal === 'none') return false;
  const aside = found.aside ?? found.journal?.quarantine ?? null;
  if (then === 'refuse')
    throw new DbkitError('recovery.refused', words, {
      hint: found.remains.leadsOutside
        ? `start again with the PGDATA and the BACKUP_DIR that the earlier run had; if nobody knows of one, look at ${volume.journal} and move it away; nothing was changed`
        : `put ${aside ?? 'that folder'} back (is the volume of BACKUP_DIR mounted?), then start again; nothing was changed`,
    });
  system.log.warn('replacement.resumed', words, { id, quarantine: aside });
  if (then === 'go-on') await carryOn(local, found.journal!);
  if (then === 'publish') await publish(volume, found.rest!, system);
  if (then === 'put-back') await putBack(volume, found, owner, system);
  if (then !== 'go-on' && then !== 'put-back' && found.remains.journal !== 'none') await forget(volume, found.remains.journal, system);
  return then !== 'forget';
}

async function lookForRemains(volume: Volume, backupDir: string): Promise<Found> {
  const read = await readJournal(volume);
  const journal = typeof read === 'string' ? undefined : read;
  const here = await clusterEntries(volume.dataDir);
  const globalInPlace = here.includes('global');
  const state: Remains['journal'] = typeof read === 'string' ? read : 'whole';
  const nothing = { asideHasGlobal: false, complement: false, halfPublished: false, nothingReplaced: journal?.quarantine === null };
  const leadsOutside = journal !== undefined && !(await namesOwnPlaces(journal, volume, backupDir));
  const facts = { journal: state, leadsOutside, phase: journal?.phase, globalInPlace };
  const base = { ...facts, sourceWhole: true, empty: here.length === 0, ...nothing };
  if (leadsOutside || (journal === undefined && globalInPlace)) return { remains: base, journal, aside: undefined, rest: undefined };
  const aside = journal ? (journal.quarantine ?? undefined) : await newestQuarantine(volume, backupDir);
  const [asideEntries, rest] = [aside === undefined ? [] : await clusterEntries(aside), await restOfNew(volume, here)];
  return {
    journal,
    aside,
    rest,
    remains: {
      ...base,
      sourceWhole: journal === undefined || (await isSourceWhole(volume, journal, here)),
      asideHasGlobal: asideEntries.includes('global'),
      complement: journal === undefined && here.length > 0 && isOneCluster(here, asideEntries),
      halfPublished: journal === undefined && rest !== undefined,
    },
  };
}

/** A quarantine that dbkit could have made, and a source in its own folder or a quarantine; links on the way are followed first. */
async function namesOwnPlaces({ quarantine, from }: Journal, { dataDir }: Volume, backupDir: string): Promise<boolean> {
  const real = (path: string): Promise<string> => realpath(path).catch(() => resolve(path));
  const roots = await Promise.all(quarantineRoots(dataDir, backupDir).map(real));
  const own = await real(join(dataDir, '.dbkit'));
  const isQuarantine = async (path: string): Promise<boolean> =>
    ['corrupt', 'replaced'].includes(parseLabel(basename(path))?.kind ?? '') && roots.includes(await real(dirname(path)));
  const isOwn = async (path: string): Promise<boolean> => path === normalize(path) && `${await real(dirname(path))}/`.startsWith(`${own}/`);
  if (quarantine !== null && !(await isQuarantine(quarantine))) return false;
  return from === undefined || (await isOwn(from)) || (await isQuarantine(from));
}

/** While data is set aside all of the new cluster must be in its folder; after that, some of it has been published. */
async function isSourceWhole(volume: Volume, journal: Journal, here: readonly string[]): Promise<boolean> {
  if (!journal.publishes) return true;
  const there = await clusterEntries(journal.from ?? volume.incoming);
  const at = new Set(journal.phase === 'publish' ? [...there, ...here] : there);
  return at.has('global') && (journal.entries ?? []).every((name) => at.has(name));
}

const isOneCluster = (here: readonly string[], there: readonly string[]): boolean =>
  there.includes('global') &&
  !here.some((name) => there.includes(name)) &&
  vital.every((name) => here.includes(name) || there.includes(name));

async function restOfNew(volume: Volume, here: readonly string[]): Promise<string | undefined> {
  for (const folder of [volume.incoming, volume.staged]) {
    if (here.length > 0 && isOneCluster(here, await clusterEntries(folder))) return folder;
  }
  return undefined;
}

/** Its label is of the moment before the first rename, so it is the newest. */
async function newestQuarantine(volume: Volume, backupDir: string): Promise<string | undefined> {
  const roots = quarantineRoots(volume.dataDir, backupDir);
  const found = await Promise.all(roots.map(async (root) => (await namesIn(root)).map((name) => join(root, name))));
  const labelled = found.flat().filter((path) => ['corrupt', 'replaced'].includes(parseLabel(basename(path))?.kind ?? ''));
  return labelled.sort((a, b) => basename(b).localeCompare(basename(a)))[0];
}

/**
 * The published part of a new cluster goes aside first; then every entry returns, `global` last. From then on the journal says that what is in
 * place is the old data, so that a kill in here is followed by the rest.
 */
async function putBack(volume: Volume, { journal, aside, remains }: Found, owner: Identity, system: System): Promise<void> {
  if (journal?.phase === 'publish' || (journal === undefined && !remains.complement)) await setPublishedAside(volume, owner, system);
  if (remains.journal === 'broken') await forget(volume, 'broken', system);
  const startedAt = system.clock.now().toISOString();
  const because = 'the data that was set aside is put back';
  const back = { quarantine: aside ?? null, publishes: true, from: join(volume.incoming, 'gone'), phase: 'set-aside' as const };
  await writeJournal(volume, owner, { schema: 'dbkit.journal/v1', ...back, because, startedAt }, system);
  if (aside !== undefined) await returnEntries(volume, aside, system);
  await removeJournal(volume, system);
}

async function setPublishedAside(volume: Volume, owner: Identity, system: System): Promise<void> {
  const { stay, contents } = await mountsInTheWay(volume.dataDir);
  const published = (await clusterEntries(volume.dataDir)).filter((name) => !stay.has(name));
  if (published.length === 0) return;
  const beside = join(volume.setAside, makeLabel('replaced', system.clock.now()));
  await system.files.makeDirectory(beside, { mode: 0o700, owner });
  for (const name of published) {
    if (contents.has(name)) await gatherMountedWal(join(volume.dataDir, name), beside, system);
    else await rename(join(volume.dataDir, name), join(beside, name));
  }
}

async function returnEntries({ dataDir }: Volume, aside: string, system: System): Promise<void> {
  const names = await clusterEntries(aside);
  for (const name of names.sort((a, b) => Number(a === 'global') - Number(b === 'global'))) {
    const from = join(aside, name);
    if (name === 'pg_wal' && (await lstat(from)).isSymbolicLink()) await putBackWal(from, dataDir, system);
    else await rename(from, join(dataDir, name));
  }
  await system.files.syncDirectory(dataDir);
  await rm(join(aside, '.dbkit'), { recursive: true, force: true }); // What was known of its damage then is known here still.
  await rmdir(aside).catch(() => undefined); // Empty now, unless a mount left its bystanders.
}

/** A journal that cannot be read is kept beside, for whoever wants to know. */
async function forget(volume: Volume, state: Remains['journal'], system: System): Promise<void> {
  if (state === 'whole') return removeJournal(volume, system);
  await rename(volume.journal, `${volume.journal}.broken-${system.clock.now().toISOString().replace(/[-:.]/g, '')}`);
  await system.files.syncDirectory(dirname(volume.journal));
}
