import { join } from 'node:path';
import type { ControlFile } from '../formats/control-file.ts';
import { type Lsn, segmentName, segmentOf } from '../formats/wal-segment.ts';
import { isThere } from '../machine/is-there.ts';
import type { FindBaseline } from './prove.ts';

/** How far the WAL of a cluster is known to have come, by whoever noted it while the server ran: recovery must get there. */
export interface Reached {
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** Where the last record begins that was seen, and where it ends. */
  readonly lastRecordLsn: Lsn;
  readonly flushedLsn: Lsn;
  /** The checksum of that record. */
  readonly lastRecordCrc?: number | undefined;
  /** Where the last record began when `prepared` was noted; absent where that is the one above. */
  readonly notedLsn?: Lsn | undefined;
  /** Where the last checkpoint began that was known then: a transaction that had been prepared by then, and had no state file yet, was prepared after it. */
  readonly redoLsn?: Lsn | undefined;
  /** Noted after a clean shutdown: nothing was written behind it. */
  readonly clean: boolean;
  /** Names of the state files of prepared transactions that were there. */
  readonly prepared: readonly string[];
  readonly at: string;
}

/** The mark of the cluster in `dataDir`; of any cluster where no system identifier is given. */
export type ReadReached = (
  stateDir: string,
  dataDir: string,
  systemIdentifier: string | undefined,
  signal: AbortSignal,
) => Promise<Reached | undefined>;

/** The mark was written at the very clean stop that pg_control is of: an inventory was too. Where that is gone, only the pages can tell. */
export const isOfThisStop = (reached: Reached | undefined, control: ControlFile | undefined): boolean =>
  reached?.clean === true &&
  control?.state === 'shut down' &&
  reached.systemIdentifier === control.systemIdentifier &&
  reached.lastRecordLsn === control.checkpointLsn;

/** Nobody noted what the files were when the server was shut down. Without a mark of that very stop there must be a backup that leads to these data to hold their pages against. */
export async function onlyPagesTell(
  reached: Reached | undefined,
  { dataDir, control, findBaseline }: { dataDir: string; control: ControlFile | undefined; findBaseline: FindBaseline | undefined },
  signal: AbortSignal,
): Promise<boolean> {
  if (control?.state !== 'shut down') return false;
  if (isOfThisStop(reached, control)) return true;
  const baseline = await findBaseline?.(control.systemIdentifier, signal);
  if (baseline === undefined || baseline.from > control.checkpointLsn || !(await baseline.leadsTo(dataDir, signal))) return false;
  const segment = segmentOf(baseline.from, control.walSegmentSizeBytes);
  if (await isThere(join(dataDir, 'pg_wal', segmentName(baseline.timeline, segment, control.walSegmentSizeBytes)))) return true;
  const kept = await baseline.keptWal(dataDir, control.timeline, signal); // Without its WAL a backup proves nothing.
  return (await kept?.(segment)) !== undefined;
}
