import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { type BytePath, fromText, join, toBytes } from '../../formats/byte-path.ts';
import { readRecords } from '../../formats/wal-reader.ts';
import { formatLsn, type Lsn, lastSegmentOf, segmentOf } from '../../formats/wal-segment.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { writeNew } from '../durable-tree.ts';
import { type BackupRun, beginCopy, type Taken } from './begin-copy.ts';
import { readCluster } from './cluster.ts';
import { BACKUP_FILE_MODE, type Copied, copyControlFile, copyTree, settleTornPages } from './copy-tree.ts';
import { type BackupStart, openServerSession, type ServerSession } from './server-session.ts';
import { copyWal } from './wal-copy.ts';
import type { SourceTree } from './walk.ts';

/**
 * Copies a running server's files between pg_backup_start and pg_backup_stop, then the WAL in between, which makes the copy consistent on
 * replay. On a standby the WAL ends where its recovery was; it has reached consistency when it has replayed that (pg_control goes last, so that
 * its minimum recovery point covers every page), and a promotion in the middle makes the server itself refuse the stop. A lost session, a slot that cannot be had, a missing segment: each fails the backup before anything is published.
 */
export async function backUpHot(run: BackupRun, signal: AbortSignal): Promise<Taken> {
  const { config, system, dataDir, owner, staging, cluster, label } = run;
  const session = await openServerSession(config.postgresql, signal);
  try {
    if (session.systemIdentifier !== cluster.systemIdentifier) throw foreignServer(run);
    const started = await session.start(label);
    const { startLsn } = started;
    const timeline = await requireSameFiles(run, started, signal);
    await requireOneTimeline(session, timeline); // Before the copy; and after it, as a standby goes on replaying.
    const { job, tree, copied, copyBeganNs } = await beginCopy(run, startLsn, signal);
    await copyTree(job, tree.files, copied, signal);
    system.reached('backup.files-copied');
    const { checkpointLsn } = await copyControlFile(job, dataDir, copied, signal);
    const { stopLsn, backupLabel, tablespaceMap } = await session.stop();
    system.reached('backup.stopped');
    await requireOneTimeline(session, timeline);
    settleTornPages(copied, stopLsn);
    const kept = await dropLateTablespaces(staging, tree, copied, tablespaceMap);
    await addBackupLabel(run, backupLabel, copied);
    const range = { first: segmentOf(startLsn, cluster.segmentSizeBytes), last: lastSegmentOf(stopLsn, cluster.segmentSizeBytes) };
    const stored = await copyWal({ from: fromText(`${dataDir}/pg_wal`), staging, owner }, range, { ...cluster, timeline }, signal);
    const createsTablespaces = await requireWholeWal(run, { startLsn, stopLsn, timeline }, signal);
    const { sharing } = job;
    const where = { timeline, startLsn, stopLsn, checkpointLsn, copyBeganNs };
    return {
      mode: 'hot',
      fromStandby: session.isStandby,
      copied,
      bulk: job.bulk,
      ...kept,
      sharing,
      ...stored,
      ...where,
      tablespaceMap,
      createsTablespaces,
    };
  } finally {
    await session.end();
  }
}

const foreignServer = ({ config, dataDir }: BackupRun): DbkitError =>
  new DbkitError('server.settings', `the server on port ${config.postgresql.port} does not serve ${dataDir}`, {
    hint: 'check postgresql.port and postgresql.socketDir against the server that runs on this data',
  });

/** The start's checkpoint must show in the very pg_control that we read: the proof that we see the server's files, not another mount's. */
async function requireSameFiles(run: BackupRun, { startLsn, timeline }: BackupStart, signal: AbortSignal): Promise<number> {
  const now = await readCluster(run.dataDir, signal);
  if (now.redoLsn < startLsn || now.timeline !== (timeline ?? now.timeline)) throw foreignServer(run);
  return now.timeline;
}

/**
 * A standby that follows a new primary begins its backup at its last restartpoint, which stays on the old timeline until the new primary's first
 * checkpoint has come (a restartpoint is made where the primary made a checkpoint). Replay of such a copy would have to cross timelines, which a
 * server does with a recovery.signal only.
 */
async function requireOneTimeline(session: Pick<ServerSession, 'replayedTimeline'>, timeline: number): Promise<void> {
  const replayed = await session.replayedTimeline();
  if (replayed === undefined || replayed === timeline) return;
  throw new DbkitError(
    'service.unready',
    `the standby has come to timeline ${replayed}, and its last restartpoint, where a backup begins, is on timeline ${timeline}`,
    { hint: 'type CHECKPOINT on the primary, and take the backup again when the standby has replayed it; or take it on the primary' },
  );
}

/** Replays the copied WAL in thought: every record from start to stop must be whole. True when a tablespace is made in it. */
async function requireWholeWal(
  { staging, cluster }: BackupRun,
  { startLsn, stopLsn, timeline }: { startLsn: Lsn; stopLsn: Lsn; timeline: number },
  signal: AbortSignal,
): Promise<boolean> {
  const { end, createsTablespaces } = await readRecords(join(staging, fromText('pg_wal')), { ...cluster, timeline }, startLsn, signal);
  if (end >= stopLsn) return createsTablespaces;
  throw new DbkitError('data.corrupt', `the WAL that the backup needs is damaged at ${formatLsn(end)}`, { hint: 'take the backup again' });
}

/** Tablespaces made after the start are not the map's: WAL replay makes them, and would stumble over their directories. */
async function dropLateTablespaces(
  staging: BytePath,
  tree: SourceTree,
  copied: Copied,
  map: Buffer,
): Promise<Pick<Taken, 'directories' | 'tablespaces'>> {
  const mapped = new Set(
    map
      .toString('latin1')
      .split('\n')
      .map((line) => line.split(' ', 1)[0]),
  );
  const late = tree.tablespaces.filter(({ oid }) => !mapped.has(oid)).map(({ oid }) => fromText(`pg_tblspc/${oid}`));
  const isLate = (path: string): boolean => late.some((folder) => path === folder || path.startsWith(`${folder}/`));
  for (const folder of late) await rm(toBytes(join(staging, folder)), { recursive: true, force: true });
  copied.files.splice(0, Infinity, ...copied.files.filter(({ path }) => !isLate(path)));
  return {
    directories: tree.directories.filter((path) => !isLate(path)),
    tablespaces: tree.tablespaces.filter(({ oid }) => mapped.has(oid)),
  };
}

async function addBackupLabel({ staging, owner, system }: BackupRun, body: Buffer, copied: Copied): Promise<void> {
  const path = fromText('backup_label');
  await writeNew(join(staging, path), body, { mode: BACKUP_FILE_MODE, owner });
  const sha256 = createHash('sha256').update(body).digest('hex');
  copied.files.push({ path, sizeBytes: body.length, modifiedAt: system.clock.now(), sha256 });
  copied.newBytes += body.length;
}
