import { mkdir, open, rename } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import { type BytePath, fromText, join, toBytes, toText } from '../../formats/byte-path.ts';
import { loadZstdSync } from '../../formats/zstd.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Identity, System } from '../../kernel/machine.ts';
import { bytes } from '../../kernel/units.ts';
import { roomAt } from '../../machine/disk-usage.ts';
import { namesIn } from '../../machine/is-there.ts';
import { syncFileSystem } from '../../machine/sync-file-system.ts';
import { inThreads } from '../../machine/threads.ts';
import type { DamagedFile, ReachedEnd } from '../backup.ts';
import { type CopyResult, type CopyTask, copyFile, prepareCopies } from '../copy-file.ts';
import { makeTree, syncFiles, syncTree, writeNew } from '../durable-tree.ts';
import { listTree } from '../list-tree.ts';
import { isOfPages, whereaboutsIn } from './pages/packed.ts';
import type { PointWal } from './points/lay.ts';
import type { BackupRecord } from './record.ts';
import { leaveRecovery, planRecovery, type RecoverySetup, reachedEnd } from './recovery-setup.ts';
import { copyRollForward, identityOf, type RollForward } from './roll-forward.ts';
import { type ExpectedFile, expectedFiles, readManifest } from './verify.ts';

export interface RestoreTarget {
  /** Missing or empty. */
  readonly directory: string;
  readonly walFrom: string | undefined;
  /** False for a copy that need not survive a power cut. */
  readonly durable?: boolean | undefined;
  /** WAL that leads to a moment, instead of what `walFrom` offers. */
  readonly point?: PointWal | undefined;
  /** Takes what is there of a damaged backup, as long as the rest is only of single relations. */
  readonly isTolerant?: boolean | undefined;
  /** The caller says how it recovers: no signal file, and no settings of a recovery. */
  readonly leavesRecovery?: boolean | undefined;
}

export interface RestoreNeeds {
  readonly record: BackupRecord;
  readonly rolled: RollForward;
  readonly source: string;
  readonly owner: Identity | undefined;
  readonly system: System;
}

const RESERVE_BYTES = 64 * 1024 * 1024;
/** Under this name until everything else is there, so that an interrupted restore cannot be started. */
const UNFINISHED_CONTROL = 'global/pg_control.dbkit-restore';

/**
 * Copies a backup into an empty directory, every byte checked against its hash on the way, adds the WAL that can be rolled forward, and sets
 * recovery up. Never links: the server will write to these files. Rejects with `data.corrupt`, naming the file, when the backup is damaged;
 * where that is tolerated, only for files that no server runs without.
 */
export async function restoreBackup(
  { record, rolled, source, owner, system }: RestoreNeeds,
  target: RestoreTarget,
  signal: AbortSignal,
): Promise<{ reached: ReachedEnd; damaged: readonly DamagedFile[] }> {
  await requireEmpty(target.directory);
  requireOwnTablespaces(record, rolled);
  const { isTolerant = false } = target;
  const setup = target.leavesRecovery ? leaveRecovery(record, rolled) : planRecovery(record, rolled, isTolerant);
  const expected = expectedFiles(record, await readManifest(record, source));
  await requireSpace(target.directory, record.sizeBytes + rolled.segments.length * record.walSegmentSizeBytes);
  const modes = record.groupAccess ? { directory: 0o750, file: 0o640 } : { directory: 0o700, file: 0o600 };
  const [from, to] = [fromText(source), fromText(target.directory)];
  const { directories: all, files: present, irregular } = await listTree(from, signal);
  const directories = all.filter((path) => !isOfPages(path));
  const missing = missingFrom(record, expected, { root: from, present: new Set(present), irregular, isTolerant });
  await mkdir(joinPath(target.directory, '..'), { recursive: true });
  await makeTree(to, directories, { mode: modes.directory, owner });

  // What is rolled forward takes the place of the backup's own copy of the same segment.
  const replaced = new Set(rolled.segments.map((name) => `pg_wal/${name}`));
  const files = expected.filter(({ path }) => !replaced.has(path) && !missing.has(path));
  const places = { from, to, record, owner, mode: modes.file, log: system.log, isTolerant };
  const changed = await restoreFiles(files, places, signal);
  system.reached('restore.files-copied');
  const options = { mode: modes.file, owner };
  for (const { name } of record.wal) {
    // The server that wrote them has archived them, if it archives at all (basebackup.c marks them likewise).
    if (!replaced.has(`pg_wal/${name}`)) await writeNew(join(to, fromText(`pg_wal/archive_status/${name}.done`)), '', options);
  }
  if (target.point) {
    await target.point.lay(join(to, fromText('pg_wal')), options, signal);
  } else if (target.walFrom !== undefined) {
    const wal = { walFrom: target.walFrom, target: join(to, fromText('pg_wal')), owner, fileMode: modes.file };
    await copyRollForward(rolled, wal, identityOf(record), signal);
  }
  await setUpRecovery(to, setup, options);
  if (target.durable ?? true) await makeDurable(to, directories, system, signal);
  await rename(toBytes(join(to, fromText(UNFINISHED_CONTROL))), joinPath(target.directory, 'global/pg_control'));
  await system.files.syncDirectory(joinPath(target.directory, 'global'));
  warnAboutTablespaces(record, system);
  const damaged = [
    ...[...missing].map((path) => ({ path: toText(path), isMissing: true })),
    ...changed.map((path) => ({ path: toText(path), isMissing: false })),
  ];
  return { reached: reachedEnd(record, rolled), damaged };
}

/** Files of one relation in one database: every other one can be served without it. */
const SPARED = /^(base\/\d+|pg_tblspc\/\d+\/PG_[^/]+\/\d+)\/\d+(_(fsm|vm|init))?(\.\d+)?$/;

interface Present {
  readonly root: BytePath;
  readonly present: ReadonlySet<string>;
  readonly irregular: ReadonlySet<string>;
  readonly isTolerant: boolean;
}

/**
 * Every file is where the manifest says, or where the pages of a packed one are, as a regular file that no link leads to: nothing of another folder
 * is ever copied. Resolves to those that are not, where that is tolerated.
 */
function missingFrom(
  record: BackupRecord,
  expected: readonly ExpectedFile[],
  { root, present, irregular, isTolerant }: Present,
): ReadonlySet<BytePath> {
  const whereabouts = whereaboutsIn(record, root);
  const inside = (place: BytePath): BytePath => place.slice(root.length + 1) as BytePath;
  const isThere = (path: BytePath): boolean => present.has(path) && !irregular.has(path);
  const missing = new Set<BytePath>();
  for (const { path } of expected) {
    const { from, layers } = whereabouts(path);
    const wrong = [from, ...(layers?.deltas ?? [])].map(inside).find((place) => !isThere(place));
    if (wrong === undefined) continue;
    missing.add(path);
    if (isTolerant && SPARED.test(toText(path))) continue;
    const what = present.has(wrong) ? 'is not a regular file' : 'is missing';
    throw new DbkitError('data.corrupt', `backup ${record.label} is damaged: ${toText(wrong)} ${what}`, {
      hint: 'restore another backup: `dbkit backup list` shows which are good; nothing was changed',
    });
  }
  return missing;
}

async function requireEmpty(directory: string): Promise<void> {
  const names = await namesIn(directory);
  if (names.length > 0) throw new DbkitError('file.exists', `${directory} is not empty`, { hint: 'name an empty or a new directory' });
}

/**
 * Replaying a CREATE TABLESPACE links to the place it was made for, where the original's files are. With all of the original's WAL these are
 * just its files again; with less, they would be ahead of the restored cluster, and a live original would be written to.
 */
function requireOwnTablespaces(record: BackupRecord, rolled: RollForward): void {
  if (rolled.complete || !(record.createsTablespaces || rolled.createsTablespaces)) return;
  throw new DbkitError('recovery.refused', `a tablespace was created after ${record.label} began, and not all of the WAL since is there`, {
    hint: 'restore another backup: one that was begun after the tablespace was created',
  });
}

async function requireSpace(directory: string, neededBytes: number): Promise<void> {
  const { freeBytes } = await roomAt(directory);
  if (freeBytes >= neededBytes + RESERVE_BYTES) return;
  throw new DbkitError('volume.full', `the restore needs ${bytes(neededBytes)} and ${directory} has ${bytes(freeBytes)} left`, {
    hint: 'free some space on that volume; nothing was changed',
  });
}

interface Places {
  readonly from: BytePath;
  readonly to: BytePath;
  readonly record: BackupRecord;
  readonly owner: Identity | undefined;
  readonly mode: number;
  readonly log: System['log'];
  readonly isTolerant: boolean;
}

/** Clones where the file system can, else copies; checked in both cases by what was really read. Resolves to what is not as it was written, where that is tolerated. */
async function restoreFiles(
  files: readonly ExpectedFile[],
  { from, to, record, owner, mode, log, isTolerant }: Places,
  signal: AbortSignal,
): Promise<readonly BytePath[]> {
  const changed: BytePath[] = [];
  const expected = new Map(files.map((file) => [file.path, file]));
  const whereabouts = whereaboutsIn(record, from);
  if (record.packed.length > 0) await loadZstdSync();
  const tasks = files.map(({ path, sizeBytes }): CopyTask => {
    const target = path === 'global/pg_control' ? fromText(UNFINISHED_CONTROL) : path;
    const places = { path, ...whereabouts(path), to: join(to, target), mode, owner };
    return {
      ...places,
      sizeBytes,
      sizeMaxBytes: sizeBytes + 1,
      pages: undefined,
      sync: false,
      clone: true,
      untrusted: true,
      tellsUnreadable: true,
    };
  });
  let doneBytes = 0;
  const done = ({ path, copied, unreadable }: CopyResult): void => {
    const { sizeBytes, sha256 } = expected.get(path)!;
    const isRight = copied?.sizeBytes === sizeBytes && copied.sha256 === sha256;
    if (!isRight && isTolerant && SPARED.test(toText(path))) changed.push(path);
    else if (!isRight)
      throw new DbkitError(
        'data.corrupt',
        `backup ${record.label} is damaged: ${toText(path)} ${
          unreadable === undefined ? (copied ? 'differs from what was written' : 'is missing') : `cannot be read (${unreadable})`
        }`,
        { hint: 'restore an older backup: `dbkit backup list` shows which are good' },
      );
    doneBytes += sizeBytes;
    log.progress('restore.copy', `restoring ${record.label}`, { done: doneBytes, total: record.sizeBytes, unit: 'bytes' });
  };
  await inThreads(tasks, { script: 'copy-worker.js', prepare: prepareCopies, inPlace: copyFile, done }, signal);
  return changed;
}

/** Before pg_control gets its name: what can be started is durable. */
async function makeDurable(root: BytePath, directories: readonly BytePath[], system: System, signal: AbortSignal): Promise<void> {
  if (await syncFileSystem(toText(root), system, signal)) return;
  await syncFiles(root, (await listTree(root, signal)).files);
  await syncTree(root, directories);
}

async function setUpRecovery(root: BytePath, setup: RecoverySetup, options: { mode: number; owner: Identity | undefined }): Promise<void> {
  if (setup.backupLabel !== undefined) await writeNew(join(root, fromText('backup_label')), setup.backupLabel, options);
  if (setup.newTimeline) await writeNew(join(root, fromText('recovery.signal')), '', options);
  if (setup.settings === '') return;
  const file = await open(toBytes(join(root, fromText('postgresql.auto.conf'))), 'a', options.mode);
  try {
    await file.appendFile(setup.settings);
    if (options.owner) await file.chown(options.owner.uid, options.owner.gid);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The original places may hold another cluster's files by now, so tablespaces are brought back inside the data directory. */
function warnAboutTablespaces({ tablespaces }: BackupRecord, { log }: System): void {
  for (const { oid, location } of tablespaces) {
    const place = toText(location as BytePath);
    log.warn('restore.tablespace', `The tablespace of ${place} was restored inside the data directory, in pg_tblspc/${oid}.`, {
      oid,
      location: place,
    });
  }
}
