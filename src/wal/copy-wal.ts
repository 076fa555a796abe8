import type { Lsn } from '../formats/wal-segment.ts';
import type { PgWal } from './pg-wal.ts';
import type { ArchiveWriter, Tail } from './writer.ts';

/** Where the archive is being written: the segment, and how much of it there is. */
export interface Line {
  readonly wal: PgWal;
  readonly segmentSizeBytes: number;
  segmentLsn: Lsn;
  tailBytes: number;
  tail: Tail | undefined;
}

/** A tail is brought in by pieces: a segment may have a gigabyte, and a buffer that was dropped stays in memory until V8 has a reason to look. */
const PIECE_BYTES = 1024 * 1024;

/** Copies what is durable. False: the server does not have the next bytes any more. */
export async function copyUpTo(line: Line, writer: ArchiveWriter, flushedLsn: Lsn, signal: AbortSignal): Promise<boolean> {
  const size = BigInt(line.segmentSizeBytes);
  while (line.segmentLsn + size <= flushedLsn) {
    const plain = await line.wal.read(line.segmentLsn, line.segmentLsn + size);
    if (plain === undefined) return false;
    await line.tail?.close();
    line.tail = undefined;
    await writer.keepWhole(line.wal.nameAt(line.segmentLsn), plain, signal);
    line.segmentLsn += size;
    line.tailBytes = 0;
  }
  const reached = (): Lsn => line.segmentLsn + BigInt(line.tailBytes);
  const piece = Number(flushedLsn - reached()) > PIECE_BYTES ? Buffer.allocUnsafeSlow(PIECE_BYTES) : undefined;
  while (reached() < flushedLsn) {
    signal.throwIfAborted();
    const length = Math.min(PIECE_BYTES, Number(flushedLsn - reached()));
    const more = await line.wal.read(reached(), reached() + BigInt(length), piece);
    if (more === undefined) return false;
    line.tail ??= await writer.openTail(line.wal.nameAt(line.segmentLsn), line.tailBytes);
    await line.tail.append(more);
    line.tailBytes = line.tail.lengthBytes();
  }
  return true;
}
