import { lstat, readdir, readFile, rename, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { DbkitError, errnoOf } from '../kernel/errors.ts';
import { makeLabel, momentAfter, parseLabel } from '../kernel/labels.ts';
import type { HeldLock, Identity, System } from '../kernel/machine.ts';
import { bytes } from '../kernel/units.ts';
import { type BackupRecord, parseRecord } from './base/record.ts';

/** What every engine's record has. */
interface Recorded {
  readonly label: string;
}

/** BACKUP_DIR as one engine uses it (DESIGN.md section 5): what bears its kind of label. */
export interface Repository<R extends Recorded = BackupRecord> {
  readonly path: string;
  pathOf(label: string): string;
  /** Work in progress; on the same filesystem, so publishing is a rename. */
  stagingOf(label: string): string;
  /** Oldest first. A directory without a record is no backup; a record that cannot be read is passed over with a warning. */
  records(signal: AbortSignal): Promise<readonly R[]>;
  /**
   * One writer at a time. Rejects with `lock.held`, after `patienceMs` of waiting. Leftovers of killed runs are cleared up before `work` begins.
   */
  locked<T>(holder: string, work: () => Promise<T>, signal: AbortSignal, patienceMs?: number): Promise<T>;
  /** A label that sorts behind every other one there is. */
  freeLabel(signal: AbortSignal): Promise<string>;
  /** The staged directory becomes a backup; its record, the last to appear, makes it one. */
  publish(record: R): Promise<void>;
  /** Changes the record of a published backup, under the lock, as it is by then; undefined when it has been removed meanwhile. */
  change(label: string, change: (record: R) => R, signal: AbortSignal): Promise<R | undefined>;
  /** Keeps a backup from being removed while `work` reads it. Rejects with `backup.missing` when it is gone, `lock.held` when it is going. */
  reading<T>(label: string, work: () => Promise<T>): Promise<T>;
  /**
   * Takes it off the list first and removes it then, so that a kill leaves nothing listed that is not whole. False, and nothing done: somebody
   * reads it.
   */
  remove(label: string): Promise<boolean>;
  /** Rejects with `volume.full` unless `neededBytes` and a reserve fit beside what is there. */
  requireSpace(neededBytes: number): Promise<void>;
}

const RESERVE_BYTES = 64 * 1024 * 1024;
/** Long enough for most backups that are under way. */
const CHANGE_PATIENCE_MS = 60_000;
/** What tells one engine's backups from another's: their labels, and how their records are read. */
export interface RecordKind<R extends Recorded> {
  readonly kind: 'data' | 'dump';
  parse(value: unknown): R;
}

const baseBackups: RecordKind<BackupRecord> = { kind: 'data', parse: parseRecord };

/** The repository of base backups. */
export const openRepository = (backupDir: string, owner: Identity | undefined, system: System): Repository =>
  openRepositoryOf(baseBackups, backupDir, owner, system);

/** The repository of any kind of backup. Engines share the directory and its lock, and touch only what is theirs. */
export function openRepositoryOf<R extends Recorded>(
  { kind, parse }: RecordKind<R>,
  backupDir: string,
  owner: Identity | undefined,
  system: System,
): Repository<R> {
  const isOurs = (name: string): boolean => parseLabel(name)?.kind === kind;
  /** A record whose writing was cut short before its rename. */
  const isUnfinishedWrite = (name: string): boolean => /\.json\..*tmp$/.test(name) && isOurs(name.replace(/\.json\..*$/, ''));
  const { files, log, clock, reached } = system;
  const partial = join(backupDir, '.partial');
  const pathOf = (label: string): string => join(backupDir, label);
  const recordOf = (label: string): string => join(backupDir, `${label}.json`);
  const stagingOf = (label: string): string => join(partial, label);
  const stagedRecordOf = (label: string): string => join(partial, `${label}.json`);
  const render = (record: R): string => `${JSON.stringify(record)}\n`;

  async function records(signal: AbortSignal): Promise<readonly R[]> {
    const labels = (await names(backupDir)).flatMap((name) =>
      name.endsWith('.json') && isOurs(name.slice(0, -5)) ? name.slice(0, -5) : [],
    );
    const found: R[] = [];
    for (const label of labels.sort()) {
      signal.throwIfAborted();
      const record = await readRecord(label);
      if (record) found.push(record);
    }
    return found;
  }

  async function readRecord(label: string): Promise<R | undefined> {
    try {
      const record = parse(JSON.parse(await readFile(recordOf(label), 'utf8')));
      if (record.label === label && (await exists(pathOf(label)))) return record;
      log.warn('backup.incomplete', `The record of ${label} does not belong to a backup that is there, so it is passed over.`, { label });
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') return undefined; // Expired while we were listing.
      log.warn('backup.record-broken', `The record of ${label} cannot be read, so this backup is passed over.`, {
        label,
        reason: cause instanceof Error ? cause.message : String(cause),
      });
    }
    return undefined;
  }

  /** Under the lock. A kill between the two renames of `publish` left a whole backup without its record: the record follows now. */
  async function clearLeftovers(): Promise<void> {
    for (const name of await names(partial)) {
      const label = name.endsWith('.json') ? name.slice(0, -5) : name;
      if (!isOurs(label)) continue;
      if (name !== label && !(await exists(stagingOf(label))) && (await exists(pathOf(label))) && !(await exists(recordOf(label)))) {
        await files.rename(stagedRecordOf(label), recordOf(label));
        log.info('backup.published', `Finished publishing ${label}, which an earlier run had completed.`, { label });
      }
    }
    for (const name of (await names(backupDir)).filter(isUnfinishedWrite)) await rm(join(backupDir, name), { force: true });
    for (const name of await names(partial)) {
      if (!isOurs(name.replace(/\.json$/, '')) && !isUnfinishedWrite(name)) continue;
      await rm(join(partial, name), { recursive: true, force: true });
      log.info('backup.leftover-removed', `Removed ${name}, which an interrupted run had left in .partial.`, { name });
    }
  }

  async function acquire(holder: string, patienceMs: number, signal: AbortSignal): Promise<HeldLock> {
    const deadlineMs = clock.monotonicMs() + patienceMs;
    let told = false;
    for (;;) {
      signal.throwIfAborted();
      try {
        return await system.locks.acquire(join(backupDir, '.lock'), holder, owner);
      } catch (cause) {
        if (!(cause instanceof DbkitError && cause.code === 'lock.held') || clock.monotonicMs() >= deadlineMs) throw cause;
        if (!told) log.info('repository.waiting', `${cause.message}; waiting for it to end`);
        told = true;
        await clock.sleep(100, signal);
      }
    }
  }

  async function locked<T>(holder: string, work: () => Promise<T>, signal: AbortSignal, patienceMs = 0): Promise<T> {
    await files.makeDirectory(partial, { mode: 0o700, owner });
    const lock = await acquire(holder, patienceMs, signal);
    try {
      await clearLeftovers();
      return await work();
    } finally {
      await lock.release();
    }
  }

  return {
    path: backupDir,
    pathOf,
    stagingOf,
    records,
    locked,
    async freeLabel(signal) {
      signal.throwIfAborted();
      const taken = (await names(backupDir)).map((name) => name.replace(/\.json$/, '')).filter(isOurs);
      return makeLabel(kind, momentAfter(taken, clock.now()));
    },
    async publish(record) {
      await files.write(stagedRecordOf(record.label), render(record), { mode: 0o600, owner });
      reached('backup.record-staged');
      await files.rename(stagingOf(record.label), pathOf(record.label));
      reached('backup.directory-published');
      await files.rename(stagedRecordOf(record.label), recordOf(record.label));
      reached('backup.published');
    },
    change: (label, change, signal) =>
      locked(
        'a change of a record',
        async () => {
          const record = await readRecord(label);
          if (!record) return undefined;
          const changed = change(record);
          await files.write(recordOf(label), render(changed), { mode: 0o600, owner });
          return changed;
        },
        signal,
        CHANGE_PATIENCE_MS,
      ),
    async reading(label, work) {
      const lock = await system.locks.hold(pathOf(label), 'shared').catch((cause: unknown) => {
        if (errnoOf(cause) !== 'ENOENT') throw cause;
        throw new DbkitError('backup.missing', `${label} has been removed`, { hint: '`dbkit backup list` shows what there is', cause });
      });
      if (!lock)
        throw new DbkitError('lock.held', `${label} is being removed by retention`, { hint: 'choose another: `dbkit backup list`' });
      return work().finally(() => lock.release());
    },
    async remove(label) {
      const lock = await system.locks.hold(pathOf(label), 'exclusive');
      if (!lock) return false;
      try {
        await rename(recordOf(label), stagedRecordOf(label));
        await files.syncDirectory(backupDir);
        reached('expire.unlisted');
        await files.rename(pathOf(label), stagingOf(label));
        reached('expire.set-aside');
        await rm(stagingOf(label), { recursive: true, force: true });
        await rm(stagedRecordOf(label), { force: true });
        return true;
      } finally {
        await lock.release();
      }
    },
    async requireSpace(neededBytes) {
      const { bavail, bsize } = await statfs(backupDir);
      const freeBytes = bavail * bsize;
      if (freeBytes >= neededBytes + RESERVE_BYTES) return;
      throw new DbkitError('volume.full', `the backup needs ${bytes(neededBytes)} and ${backupDir} has ${bytes(freeBytes)} left`, {
        hint: 'free some space there, keep fewer backups (MAX_BACKUPS), or set BACKUP_DIR to a larger volume',
      });
    },
  };
}

const exists = async (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

const names = async (directory: string): Promise<string[]> =>
  readdir(directory).catch((thrown: unknown) => {
    if (errnoOf(thrown) === 'ENOENT') return [];
    throw thrown;
  });
