import { join } from 'node:path';
import type { Lsn } from '../formats/wal-segment.ts';
import { claimArchive } from './claim.ts';
import { copyUpTo, type Line } from './copy-wal.ts';
import type { WalKeeping } from './keeper-life.ts';
import { openPgWal } from './pg-wal.ts';
import { resume } from './resume.ts';
import { openWriter } from './writer.ts';

type Needs = Pick<WalKeeping, 'system' | 'repositoryDir' | 'dataDir' | 'owner' | 'systemIdentifier' | 'segmentSizeBytes' | 'maxLagBytes'>;

/** Brings what a stopped server has left in pg_wal up to `flushedLsn` into the archive. */
export async function keepRest(
  needs: Needs,
  end: { readonly timeline: number; readonly flushedLsn: Lsn },
  signal: AbortSignal,
): Promise<void> {
  const { system, dataDir, segmentSizeBytes, systemIdentifier } = needs;
  const { timeline, flushedLsn } = end;
  const writer = openWriter({ ...needs, files: system.files });
  const lock = await claimArchive(writer.dir, needs);
  const identity = { systemIdentifier, segmentSizeBytes, timeline };
  const wal = openPgWal(join(dataDir, 'pg_wal'), identity);
  let line: Line | undefined;
  try {
    const { segmentLsn, tailBytes } = await resume(writer, wal, { identity, flushedLsn, catchUpBytes: BigInt(needs.maxLagBytes) }, signal);
    line = { wal, segmentSizeBytes, segmentLsn, tailBytes, tail: undefined };
    await copyUpTo(line, writer, flushedLsn, signal);
  } finally {
    await line?.tail?.close();
    await lock.release();
  }
}
