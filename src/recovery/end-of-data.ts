import { join } from 'node:path';
import type { ReachedEnd } from '../backups/backup.ts';
import { fromText } from '../formats/byte-path.ts';
import { readRecords } from '../formats/wal-reader.ts';
import { type Lsn, parseLsn, type WalIdentity } from '../formats/wal-segment.ts';
import { readControl } from '../inspection/state.ts';

/**
 * The last checkpoint of the data that are replaced is, byte for byte, in the WAL that the staged copy replays, and not its end: what the data had lost before stays
 * lost, and nothing more is. By its place alone it might be one of another past.
 */
export async function comesAsFar(
  reached: ReachedEnd | undefined,
  { dataDir, staged }: { readonly dataDir: string; readonly staged: string },
  signal: AbortSignal,
): Promise<boolean> {
  const read = readControl(dataDir);
  if (reached === undefined || !('control' in read)) return false;
  const { checkpointLsn, systemIdentifier, timeline, walSegmentSizeBytes: segmentSizeBytes } = read.control;
  if (parseLsn(reached.lsn) <= checkpointLsn) return false;
  const identity = { systemIdentifier, timeline, segmentSizeBytes };
  const [own, theirs] = await Promise.all(
    [dataDir, staged].map((home) => checksumAt(join(home, 'pg_wal'), identity, checkpointLsn, signal)),
  );
  return own !== undefined && own === theirs;
}

async function checksumAt(folder: string, identity: WalIdentity, lsn: Lsn, signal: AbortSignal): Promise<number | undefined> {
  const { last } = await readRecords(fromText(folder), identity, lsn, signal, () => false);
  return last?.lsn === lsn ? last.crc : undefined;
}

/** In order: after a crash the server empties unlogged tables itself. */
export function isShutDown(dataDir: string): boolean {
  const read = readControl(dataDir);
  return 'control' in read && read.control.state.startsWith('shut down');
}
