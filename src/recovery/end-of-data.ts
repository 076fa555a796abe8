import type { ReachedEnd } from '../backups/backup.ts';
import { parseLsn } from '../formats/wal-segment.ts';
import { readControl } from '../inspection/state.ts';

/** The last record of the data that are replaced is replayed: what they had lost before stays lost, and nothing more is. */
export function comesAsFar(reached: ReachedEnd | undefined, dataDir: string): boolean {
  const read = readControl(dataDir);
  return reached !== undefined && 'control' in read && parseLsn(reached.lsn) > read.control.checkpointLsn;
}

/** In order: after a crash the server empties unlogged tables itself. */
export function isShutDown(dataDir: string): boolean {
  const read = readControl(dataDir);
  return 'control' in read && read.control.state.startsWith('shut down');
}
