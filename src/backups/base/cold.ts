import { open } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import { fromText } from '../../formats/byte-path.ts';
import { type Lsn, lastSegmentOf, recordEnd, segmentName, segmentOf } from '../../formats/wal-segment.ts';
import { present } from '../../instance/volume.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { readPlain } from '../../machine/plain-file.ts';
import { type BackupRun, beginCopy, type Taken } from './begin-copy.ts';
import { copyControlFile, copyTree } from './copy-tree.ts';
import { copyWal } from './wal-copy.ts';

/**
 * Copies the files of a server that was shut down cleanly: they are consistent by themselves, and of the WAL only the shutdown checkpoint is
 * needed. That no server starts meanwhile is checked at the end: pg_control is the same and there is no postmaster.pid.
 */
export async function backUpCold(run: BackupRun, signal: AbortSignal): Promise<Taken> {
  const { dataDir, owner, staging, cluster, system } = run;
  const before = await readPlain(joinPath(dataDir, 'global/pg_control'));
  const { job, tree, copied, copyBeganNs } = await beginCopy(run, undefined, signal);
  await copyTree(job, tree.files, copied, signal);
  system.reached('backup.files-copied');
  await copyControlFile(job, dataDir, copied, signal);
  const { checkpointLsn, segmentSizeBytes } = cluster;
  const stopLsn = await endOfRecord(dataDir, cluster.timeline, checkpointLsn, segmentSizeBytes);
  const range = { first: segmentOf(checkpointLsn, segmentSizeBytes), last: lastSegmentOf(stopLsn, segmentSizeBytes) };
  const stored = await copyWal({ from: fromText(`${dataDir}/pg_wal`), staging, owner }, range, cluster, signal);
  const started = await present(joinPath(dataDir, 'postmaster.pid'));
  if (started || !before.equals(await readPlain(joinPath(dataDir, 'global/pg_control')))) {
    throw new DbkitError('server.running', 'a server was started during the cold backup, so it is not consistent', {
      hint: 'take the backup again: the server runs now, and the next one is hot',
    });
  }
  return {
    mode: 'cold',
    fromStandby: false,
    copied,
    bulk: job.bulk,
    directories: tree.directories,
    tablespaces: tree.tablespaces,
    sharing: job.sharing,
    ...stored,
    timeline: cluster.timeline,
    startLsn: checkpointLsn,
    stopLsn,
    checkpointLsn,
    copyBeganNs,
    tablespaceMap: Buffer.alloc(0),
    createsTablespaces: false,
  };
}

/** Where the checkpoint record ends, from its own length: the first field of its header (xlogrecord.h, xl_tot_len). */
async function endOfRecord(dataDir: string, timeline: number, lsn: Lsn, segmentSizeBytes: number): Promise<Lsn> {
  const name = segmentName(timeline, segmentOf(lsn, segmentSizeBytes), segmentSizeBytes);
  const file = await open(joinPath(dataDir, 'pg_wal', name), 'r').catch((cause: unknown) => {
    throw new DbkitError('data.corrupt', `WAL segment ${name}, which holds the last checkpoint, cannot be read`, { cause });
  });
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, Number(lsn % BigInt(segmentSizeBytes)));
    return recordEnd(lsn, buffer.readUInt32LE(0), segmentSizeBytes);
  } finally {
    await file.close();
  }
}
