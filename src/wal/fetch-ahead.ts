import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseSegmentName, segmentName } from '../formats/wal-segment.ts';
import { isThere } from '../machine/is-there.ts';
import type { WalArchive } from './contract.ts';

/** So many segments are unpacked at once, and at most so many bytes; bin/dbkit-wal does the same where it has zstd(1). */
const AHEAD = 8;
const AHEAD_BYTES = 128 * 1024 * 1024;

/**
 * Unpacks the segment `name` and the next ones into `directory`, each as `<name>-<sha16>`, where bin/dbkit-wal takes them while a server recovers. Nothing
 * is synced. Ends at the first that is not in the archive whole; gives the number of those that are laid out. Rejects with `wal.damaged` and `wal.conflict`.
 */
export async function fetchAhead(archive: WalArchive, name: string, directory: string, signal: AbortSignal): Promise<number> {
  const size = await archive.segmentSizeBytes();
  const first = size === undefined ? undefined : parseSegmentName(name, size);
  if (size === undefined || first === undefined) return 0;
  const most = Math.min(AHEAD, Math.floor(AHEAD_BYTES / size));
  for (let laid = 0; laid < most; laid += 1) {
    const segment = await archive.segment(segmentName(first.timeline, first.segment + BigInt(laid), size));
    if (segment?.sha16 === undefined) return laid;
    const path = join(directory, `${segment.name}-${segment.sha16}`);
    if (await isThere(path)) continue;
    const part = `${path}.${process.pid}.part`;
    await writeFile(part, await archive.read(segment, signal), { mode: 0o600 });
    await rename(part, path);
  }
  return most;
}
