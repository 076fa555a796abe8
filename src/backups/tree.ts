import { lstat, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DbkitError, errnoOf, unlessMissing } from '../kernel/errors.ts';
import { parseLabel } from '../kernel/labels.ts';
import type { HeldLock, Identity, System } from '../kernel/machine.ts';
import { bytes } from '../kernel/units.ts';
import { awaitLock } from '../machine/await-lock.ts';
import { roomAt } from '../machine/disk-usage.ts';
import { namesIn } from '../machine/is-there.ts';
import { removeTree } from './remove-tree.ts';

/** The bytes of one kind of backup: a directory for each, the folder for work in progress, and the locks on both. */
export interface BackupTree {
  pathOf(label: string): string;
  /** Work in progress; on the same filesystem, so publishing is a rename. */
  stagingOf(label: string): string;
  /** A directory of its own: nothing that a link leads to. Rejects, as `isStaged`, where a disk does not answer. */
  has(label: string): Promise<boolean>;
  isStaged(label: string): Promise<boolean>;
  publish(label: string): Promise<void>;
  retract(label: string): Promise<void>;
  discard(label: string): Promise<void>;
  /** Work that is in progress, by label. */
  staged(): Promise<readonly string[]>;
  /** Under the lock: what killed runs of other kinds have staged. */
  clearOthers(): Promise<void>;
  /** One writer at a time, of any kind. Rejects with `lock.held`, after `patienceMs` of waiting. */
  lock(holder: string, patienceMs: number, signal: AbortSignal): Promise<HeldLock>;
  /** Keeps a backup from being removed while `work` reads it. Rejects with `backup.missing` when it is gone, `lock.held` when it is going. */
  reading<T>(label: string, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
  /** Undefined: somebody reads it. */
  holdAlone(label: string): Promise<HeldLock | undefined>;
  /** Rejects with `volume.full` unless `neededBytes` and a reserve fit beside what is there. */
  requireSpace(neededBytes: number): Promise<void>;
}

const RESERVE_BYTES = 64 * 1024 * 1024;
const READING_PATIENCE_MS = 60_000;

export function openTree(
  kind: 'data' | 'dump',
  { backupDir, partial }: { readonly backupDir: string; readonly partial: string },
  owner: Identity | undefined,
  { files, locks, log, clock }: System,
): BackupTree {
  const pathOf = (label: string): string => join(backupDir, label);
  const stagingOf = (label: string): string => join(partial, label);
  return {
    pathOf,
    stagingOf,
    has: (label) => isDirectory(pathOf(label)),
    isStaged: (label) => isDirectory(stagingOf(label)),
    publish: (label) => files.rename(stagingOf(label), pathOf(label)),
    retract: (label) => files.rename(pathOf(label), stagingOf(label)),
    discard: (label) => removeTree(stagingOf(label)),
    staged: async () => (await namesIn(partial)).filter((name) => parseLabel(name)?.kind === kind),
    async clearOthers() {
      for (const name of await namesIn(partial)) {
        const label = parseLabel(name);
        if (label === undefined || label.kind === kind || !(await isDirectory(stagingOf(name)))) continue;
        await removeTree(stagingOf(name));
        await rm(`${stagingOf(name)}.json`, { force: true }); // While the directory was staged its record published nothing.
        log.info('backup.leftover-removed', `Removed ${name}, which an interrupted run had left in .partial.`, { label: name });
      }
    },
    lock(holder, patienceMs, signal) {
      const told = (words: string): void => log.info('repository.waiting', `${words}; waiting for it to end`);
      return awaitLock(() => locks.acquire(join(backupDir, '.lock'), holder, owner), { clock, patienceMs, signal, told });
    },
    async reading(label, signal, work) {
      const attempt = () => shared(label, pathOf(label), locks);
      const lock = await awaitLock(attempt, { clock, patienceMs: READING_PATIENCE_MS, signal });
      return work().finally(() => lock.release());
    },
    holdAlone: (label) => locks.hold(pathOf(label), 'exclusive'),
    async requireSpace(neededBytes) {
      const { freeBytes } = await roomAt(backupDir);
      if (freeBytes >= neededBytes + RESERVE_BYTES) return;
      throw new DbkitError('volume.full', `the backup needs ${bytes(neededBytes)} and ${backupDir} has ${bytes(freeBytes)} left`, {
        hint: 'free some space there, keep fewer backups (MAX_BACKUPS), or set BACKUP_DIR to a larger volume',
      });
    },
  };
}

/** Rejects with `lock.held` where a later backup, which takes files of this one over, holds it alone for as long as it writes. */
async function shared(label: string, path: string, locks: System['locks']): Promise<HeldLock> {
  const lock = await locks.hold(path, 'shared').catch((cause: unknown) => {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
    throw new DbkitError('backup.missing', `${label} has been removed`, { hint: '`dbkit backup list` shows what there is', cause });
  });
  if (lock) return lock;
  throw new DbkitError('lock.held', `${label} is being changed or removed by a backup that runs`, {
    hint: 'wait until that is done, and try again; nothing was changed',
  });
}

/** Rejects with what a disk says that does not answer: a backup that only seems to be gone must not be taken back, nor its files written over. */
const isDirectory = async (path: string): Promise<boolean> => (await lstat(path).catch(unlessMissing))?.isDirectory() ?? false;
