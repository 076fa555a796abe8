import { join } from 'node:path';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import type { Identity, System } from '../kernel/machine.ts';
import type { Backup } from './backup.ts';
import { type Catalog, openCatalog, type Recorded, type RecordFormat } from './catalog.ts';
import { type BackupTree, openTree } from './tree.ts';

/** Catalog and tree together: a backup is there when both have it, and every step between lies in an order that a kill leaves whole. */
export interface Holdings<R extends Recorded, W extends R = R>
  extends Pick<BackupTree, 'pathOf' | 'stagingOf' | 'reading' | 'holdAlone' | 'has' | 'requireSpace'> {
  /** Oldest first. A directory without a record is no backup; a record or a directory that cannot be read is passed over with a warning. */
  records(signal: AbortSignal): Promise<readonly R[]>;
  /** The state that is recorded of a backup by now. Rejects with `backup.missing` when it has been removed. */
  recordOf(backup: Pick<Backup, 'label'>, signal: AbortSignal): Promise<R>;
  /** The same with a row for each file; undefined, and told, when those cannot be read. */
  wholeOf(backup: Pick<Backup, 'label'>, signal: AbortSignal): Promise<W | undefined>;
  /** One writer at a time. Rejects with `lock.held`, after `patienceMs`. Leftovers of killed runs are cleared up before `work` begins. */
  locked<T>(holder: string, work: () => Promise<T>, signal: AbortSignal, patienceMs?: number): Promise<T>;
  freeLabel(signal: AbortSignal): Promise<string>;
  /** The staged directory becomes a backup; its record, the last to appear, makes it one. */
  publish(record: W): Promise<void>;
  /** Changes the record of a published backup, under the lock, as it is by then; undefined when it has been removed meanwhile. */
  change(label: string, change: (record: R) => R, signal: AbortSignal): Promise<R | undefined>;
  /** The same for whoever holds the lock, with the row for each file. */
  rewrite(label: string, change: (record: W) => W): Promise<W | undefined>;
  /**
   * Takes it off the list first and removes it then, so that a kill leaves nothing listed that is not whole. False, and nothing done: somebody
   * reads it.
   */
  remove(label: string): Promise<boolean>;
}

/** How one kind of backup is read, and what it finishes that a killed run has begun. */
export interface HeldKind<R extends Recorded, W extends R> extends RecordFormat<R, W> {
  /** Under the lock, before anything else is done. */
  settle?(holdings: Holdings<R, W>, where: { readonly partial: string; readonly system: System }): Promise<void>;
}

/** Long enough for most backups that are under way. */
const CHANGE_PATIENCE_MS = 60_000;

interface Parts<R extends Recorded, W extends R> {
  readonly catalog: Catalog<R, W>;
  readonly tree: BackupTree;
  readonly system: System;
}

/** Entries with one kind of label in `backupDir`. */
export function openHoldings<R extends Recorded, W extends R>(
  kind: HeldKind<R, W>,
  backupDir: string,
  owner: Identity | undefined,
  system: System,
): Holdings<R, W> {
  const places = { backupDir, partial: join(backupDir, '.partial') };
  const parts: Parts<R, W> = {
    catalog: openCatalog(kind, places, owner, system),
    tree: openTree(kind.kind, places, owner, system),
    system,
  };
  const { catalog, tree } = parts;

  async function locked<T>(holder: string, work: () => Promise<T>, signal: AbortSignal, patienceMs = 0): Promise<T> {
    await system.files.ownDirectory(backupDir, { mode: 0o700, owner });
    await system.files.makeDirectory(places.partial, { mode: 0o700, owner });
    const lock = await tree.lock(holder, patienceMs, signal);
    try {
      await clearLeftovers(parts);
      await kind.settle?.(holdings, { partial: places.partial, system });
      return await work();
    } finally {
      await lock.release();
    }
  }

  const { pathOf, stagingOf, reading, holdAlone, has, requireSpace } = tree;
  const holdings: Holdings<R, W> = {
    pathOf,
    stagingOf,
    reading,
    holdAlone,
    has,
    requireSpace,
    rewrite: (label, change) => rewrite(parts, label, change),
    async records(signal) {
      const found: R[] = [];
      for (const label of await catalog.labels()) {
        signal.throwIfAborted();
        const record = await listed(parts, label);
        if (record) found.push(record);
      }
      return found;
    },
    async recordOf({ label }, signal) {
      signal.throwIfAborted();
      const record = await withDirectory(parts, label, catalog.read);
      if (record) return record;
      throw new DbkitError('backup.missing', `there is no backup ${label} in ${backupDir}`, {
        hint: '`dbkit backup list` shows what there is',
      });
    },
    async wholeOf({ label }, signal) {
      signal.throwIfAborted();
      return withDirectory(parts, label, catalog.readWhole);
    },
    locked,
    async freeLabel(signal) {
      signal.throwIfAborted();
      return catalog.freeLabel();
    },
    publish: (record) => publish(parts, record),
    change: (label, how, signal) =>
      locked('a change of a record', () => rewrite(parts, label, (record) => ({ ...record, ...how(record) })), signal, CHANGE_PATIENCE_MS),
    remove: (label) => remove(parts, label),
  };
  return holdings;
}

async function rewrite<R extends Recorded, W extends R>(
  { catalog, tree, system }: Parts<R, W>,
  label: string,
  change: (record: W) => W,
): Promise<W | undefined> {
  const record = await withDirectory({ tree, system }, label, catalog.readWhole);
  if (!record) return undefined;
  const changed = change(record);
  await catalog.write(changed);
  return changed;
}

async function listed<R extends Recorded, W extends R>(parts: Parts<R, W>, label: string): Promise<R | undefined> {
  return withDirectory(parts, label, parts.catalog.read).catch((cause: unknown) => {
    const words = `The directory of ${label} cannot be looked at, so this backup is ignored: ${wordsOf(cause)}`;
    parts.system.log.warn('backup.unreadable', words, { label });
    return undefined;
  });
}

async function withDirectory<T>(
  { tree, system }: Pick<Parts<Recorded, Recorded>, 'tree' | 'system'>,
  label: string,
  read: (label: string) => Promise<T | undefined>,
): Promise<T | undefined> {
  const record = await read(label);
  if (!record || (await tree.has(label))) return record;
  if (!(await read(label))) return undefined; // It is being removed this moment.
  system.log.warn('backup.incomplete', `The record of ${label} does not belong to a backup that is there, so it is ignored.`, {
    label,
  });
  return undefined;
}

async function publish<R extends Recorded, W extends R>({ catalog, tree, system: { reached } }: Parts<R, W>, record: W): Promise<void> {
  await catalog.prepare(record);
  reached('backup.record-staged');
  await tree.publish(record.label);
  reached('backup.directory-published');
  await catalog.publish(record.label);
  reached('backup.published');
}

async function remove<R extends Recorded, W extends R>(
  { catalog, tree, system: { reached } }: Parts<R, W>,
  label: string,
): Promise<boolean> {
  const lock = await tree.holdAlone(label);
  if (!lock) return false;
  try {
    await catalog.retract(label);
    reached('expire.unlisted');
    await tree.retract(label);
    reached('expire.set-aside');
    await tree.discard(label);
    await catalog.discard(label);
    return true;
  } finally {
    await lock.release();
  }
}

/** Under the lock. A kill between the two renames of `publish` left a whole backup without its record: the record follows now. */
async function clearLeftovers<R extends Recorded, W extends R>({ catalog, tree, system: { log } }: Parts<R, W>): Promise<void> {
  const published = new Set(await catalog.labels());
  for (const label of await catalog.prepared()) {
    if ((await tree.isStaged(label)) || !(await tree.has(label)) || published.has(label)) continue;
    await catalog.publish(label);
    log.info('backup.published', `Finished publishing ${label}, which an earlier run had completed.`, { label });
  }
  await catalog.clearUnfinished();
  for (const label of new Set([...(await tree.staged()), ...(await catalog.prepared())])) {
    await tree.discard(label);
    await catalog.discard(label);
    log.info('backup.leftover-removed', `Removed ${label}, which an interrupted run had left in .partial.`, { label });
  }
  await tree.clearOthers(); // The lock is everybody's: whoever staged them is gone too.
}
