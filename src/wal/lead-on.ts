import { stat } from 'node:fs/promises';
import { fromText } from '../formats/byte-path.ts';
import { crcOf, readRecords, readWal } from '../formats/wal-reader.ts';
import {
  type Lsn,
  lastSegmentOf,
  parseSegmentName,
  segmentName,
  segmentOf,
  segmentRange,
  type WalIdentity,
} from '../formats/wal-segment.ts';
import type { ArchivedSegment, WalArchive } from './contract.ts';
import { pieceOf } from './gather.ts';
import { openPgWal } from './pg-wal.ts';

/** WAL of an archive that takes a crash recovery further than its own pg_wal does. */
export interface LedOn {
  /** Segments of which the archive has what pg_wal lacks, or holds otherwise; oldest first. */
  readonly segments: readonly string[];
  /** Behind the last whole record. */
  readonly end: Lsn;
  /** Where pg_wal alone ends. */
  readonly ownEnd: Lsn;
  /** When the last of it was kept. */
  keptAt(): Promise<Date>;
  /** The last of the WAL is the archive's: the server may have come further, by what it wrote between two looks. */
  readonly endsInArchive: boolean;
  /** A whole segment, filled up with zeroes behind what was kept of it. Rejects with `wal.damaged`. */
  bytesOf(name: string): Promise<Buffer>;
}

/**
 * Reads on from `redoLsn` in the archive's segments and in pg_wal's, as crash recovery would with both. Undefined where that comes no further than pg_wal alone; where
 * the archive does not hold the last record that pg_wal can be read to, or the checkpoint, as it then is of another past; and where it goes on behind a hole or a
 * damaged segment, as a server that went on from there would contradict it. Memory for two segments at a time.
 */
export async function leadOn(
  archive: WalArchive,
  pgWal: string,
  { identity, redoLsn, checkpointLsn }: { readonly identity: WalIdentity; readonly redoLsn: Lsn; readonly checkpointLsn: Lsn },
  signal: AbortSignal,
): Promise<LedOn | undefined> {
  const { timeline, segmentSizeBytes: size } = identity;
  if ((await archive.segmentSizeBytes()) !== size) return undefined;
  const first = segmentOf(redoLsn, size);
  const { timelines } = await archive.survey(signal);
  const kept = timelines.find(({ id }) => id === timeline)?.segments ?? [];
  const held = new Map(
    kept.filter(({ startLsn }) => segmentOf(startLsn, size) >= first).map((segment) => [segment.name, segment] as const),
  );
  const isTwice = kept.some(({ name, path }) => held.has(name) && held.get(name)!.path !== path);
  if (held.size === 0 || isTwice) return undefined;
  const before = held.size;
  const fromArchive = new Set<string>();
  const wal = openPgWal(pgWal, identity);
  const ownOf = (segment: bigint): Promise<Buffer | undefined> => wal.read(segment * BigInt(size), (segment + 1n) * BigInt(size));
  const pieceAt = async (segment: bigint) => {
    const name = segmentName(timeline, segment, size);
    const piece = await pieceOf(archive, held.get(name), { pgWal, timeline, segment, size, damaged: () => held.delete(name) }, signal);
    if (piece?.from !== 'archive') return piece?.plain;
    fromArchive.add(name);
    return joined(piece.plain, held.get(name)!, await ownOf(segment));
  };
  const own = await readWal(fromText(pgWal), identity, redoLsn, signal);
  let [isShared, isChecked] = [own.last === undefined, false];
  const { end } = await readRecords(pieceAt, identity, redoLsn, signal, ({ lsn, bytes }) => {
    isChecked ||= lsn === checkpointLsn;
    isShared ||= lsn === own.last!.lsn && crcOf(bytes) === own.last!.crc;
    return true;
  });
  if (!isShared || !isChecked || end <= own.end) return undefined;
  const last = lastSegmentOf(end, size);
  if (kept.some(({ startLsn, kind }) => segmentOf(startLsn, size) > last && (kind === 'whole' || held.size < before))) return undefined;
  const names = segmentRange(first, last).map((segment) => segmentName(timeline, segment, size));
  return {
    segments: names.filter((name) => fromArchive.has(name)),
    end,
    ownEnd: own.end,
    endsInArchive: fromArchive.has(names.at(-1)!) && end <= held.get(names.at(-1)!)!.endLsn,
    bytesOf: async (name) => (await pieceAt(parseSegmentName(name, size)!.segment))!,
    keptAt: async () => (await stat(kept.at(-1)!.path)).mtime,
  };
}

/** Behind what was kept of a tail the server's own segment goes on, where it can: what that holds counts only if its records do. */
const joined = (plain: Buffer, { sizeBytes }: ArchivedSegment, own: Buffer | undefined): Buffer =>
  own === undefined || sizeBytes === plain.length ? plain : Buffer.concat([plain.subarray(0, sizeBytes), own.subarray(sizeBytes)]);
