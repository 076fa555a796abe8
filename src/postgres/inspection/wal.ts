import { join } from 'node:path';
import type { Finding } from '../../core/findings.ts';
import { fromText } from '../formats/byte-path.ts';
import type { ControlFile } from '../formats/control-file.ts';
import { readWal } from '../formats/wal-reader.ts';
import { formatLsn, type Lsn, segmentName, segmentOf } from '../formats/wal-segment.ts';
import type { Walk } from './walk.ts';

/** The WAL that the checkpoint needs: its segment, whole, with a sound record at its position; and the one where redo begins. */
export async function inspectWal(dataDir: string, { entries }: Walk, control: ControlFile, signal: AbortSignal): Promise<Finding[]> {
  const positions: [what: string, lsn: Lsn][] = [['the checkpoint', control.checkpointLsn]];
  if (control.redoLsn !== control.checkpointLsn) positions.push(['redo', control.redoLsn]);
  for (const [what, lsn] of positions) {
    const size = control.walSegmentSizeBytes;
    const name = segmentName(control.timeline, segmentOf(lsn, size), size);
    const path = `pg_wal/${name}`;
    const entry = entries.get(path);
    const says =
      what === 'redo'
        ? `could not find redo location referenced by checkpoint record at ${formatLsn(control.checkpointLsn)}`
        : 'could not locate a valid checkpoint record';
    if (!entry)
      return [
        {
          code: 'wal.missing',
          path,
          evidence: `the segment with ${what} (${formatLsn(lsn)}) is missing`,
          severity: 'certain',
          postgresSays: says,
        },
      ];
    const evidence =
      entry.sizeBytes === size ? await recordProblem(dataDir, control, lsn, what, signal) : `size ${entry.sizeBytes}, expected ${size}`;
    if (evidence !== undefined) return [{ code: 'wal.damaged', path, evidence, severity: 'certain', postgresSays: says }];
  }
  return [];
}

async function recordProblem(
  dataDir: string,
  control: ControlFile,
  lsn: Lsn,
  what: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const identity = {
    timeline: control.timeline,
    segmentSizeBytes: control.walSegmentSizeBytes,
    systemIdentifier: control.systemIdentifier,
  };
  let sound = false;
  await readWal(fromText(join(dataDir, 'pg_wal')), identity, lsn, signal, () => {
    sound = true;
    return false; // One record is enough.
  });
  return sound ? undefined : `there is no sound record at ${formatLsn(lsn)}, where ${what} must be`;
}
