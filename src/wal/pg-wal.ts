import { type FileHandle, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  holdsSegment,
  LONG_HEADER_BYTES,
  type Lsn,
  readSegmentHeader,
  segmentName,
  segmentOf,
  type WalIdentity,
} from '../formats/wal-segment.ts';
import { openPlain, unlessNoFile } from '../machine/plain-file.ts';

/** A server's own pg_wal, where its segments come and go. */
export interface PgWal {
  readonly directory: string;
  /** The name of the segment that holds `lsn`. */
  nameAt(lsn: Lsn): string;
  /**
   * The bytes from `from` to `to`, which lie in one segment; undefined where that segment is not there any more, or not yet. `into`: a buffer that is
   * large enough, for whoever reads piece after piece.
   */
  read(from: Lsn, to: Lsn, into?: Buffer): Promise<Buffer | undefined>;
  /** The first of the segments that lead to `lsn` without a hole, but none before `notBefore`. */
  oldestBefore(lsn: Lsn, notBefore: Lsn): Promise<Lsn>;
  /** Changes whenever the segment of `lsn` was written to; undefined where that cannot be told. */
  stampAt(lsn: Lsn): Promise<{ readonly text: string; readonly modifiedMs: number } | undefined>;
  histories(): Promise<readonly string[]>;
}

export function openPgWal(directory: string, identity: WalIdentity): PgWal {
  const { timeline, segmentSizeBytes } = identity;
  const size = BigInt(segmentSizeBytes);
  const nameAt = (lsn: Lsn): string => segmentName(timeline, segmentOf(lsn, segmentSizeBytes), segmentSizeBytes);
  const within = async <T>(lsn: Lsn, work: (file: FileHandle) => Promise<T>): Promise<T | undefined> => {
    const file = await openPlain(join(directory, nameAt(lsn))).catch(unlessNoFile);
    if (!file) return undefined;
    try {
      return await work(file);
    } finally {
      await file.close();
    }
  };
  /** A recycled file waits under the name of a segment to come, with the content of an old one. */
  const isThere = async (file: FileHandle, lsn: Lsn): Promise<boolean> => {
    const head = await bytesAt(file, 0, LONG_HEADER_BYTES);
    return head !== undefined && holdsSegment(readSegmentHeader(head), { ...identity, segment: segmentOf(lsn, segmentSizeBytes) });
  };
  return {
    directory,
    nameAt,
    read: (from, to, into) =>
      within(from, async (file) => ((await isThere(file, from)) ? bytesAt(file, Number(from % size), Number(to - from), into) : undefined)),
    async oldestBefore(lsn, notBefore) {
      let oldest = lsn - (lsn % size);
      while (oldest >= size && oldest - size >= notBefore) {
        const before = oldest - size;
        if ((await within(before, (file) => isThere(file, before))) !== true) break;
        oldest = before;
      }
      return oldest;
    },
    stampAt: (lsn) =>
      within(lsn, async (file) => {
        const { mtimeMs, ino } = await file.stat();
        return { text: `${ino} ${mtimeMs}`, modifiedMs: mtimeMs };
      }),
    histories: async () => (await readdir(directory)).filter((name) => /^[0-9A-F]{8}\.history$/.test(name)),
  };
}

async function bytesAt(
  file: FileHandle,
  offset: number,
  length: number,
  into: Buffer = Buffer.allocUnsafe(length),
): Promise<Buffer | undefined> {
  const bytes = into.subarray(0, length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) return undefined;
    done += bytesRead;
  }
  return bytes;
}
