import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import { formatLsn, type Lsn, segmentOf, type WalIdentity } from '../formats/wal-segment.ts';
import { readFromSegment } from '../formats/wal-tip.ts';
import { DbkitError } from '../kernel/errors.ts';
import { newSha16, segmentsIn } from './archive.ts';
import type { ArchivedSegment } from './contract.ts';
import type { PgWal } from './pg-wal.ts';
import type { ArchiveWriter } from './writer.ts';

/** Where the archive is to go on: at the beginning of a segment, of which it has the first bytes. */
export interface Position {
  readonly segmentLsn: Lsn;
  readonly tailBytes: number;
  /** The end of what was kept before, where that is not here: what lies between is not in the archive. */
  readonly gapFrom: Lsn | undefined;
}

/** A segment may have a gigabyte: it is never held whole only to be compared, at every start. */
const PIECE_BYTES = 256n * 1024n;
const newPiece = (): Buffer => Buffer.allocUnsafeSlow(Number(PIECE_BYTES));

interface Reached {
  readonly identity: WalIdentity;
  /** How far the server's WAL is durable. */
  readonly flushedLsn: Lsn;
  /** Where nothing has been kept yet, no more than this is caught up on. */
  readonly catchUpBytes: bigint;
}

/**
 * Finds where the archive of this timeline ends, and proves that the server's WAL goes on from there: the bytes that both have are the same. Rejects
 * with `wal.conflict` where they are not: the archive then is ahead of this data, or of another copy of it.
 */
export async function resume(
  writer: ArchiveWriter,
  wal: PgWal,
  { identity, flushedLsn, catchUpBytes }: Reached,
  signal: AbortSignal,
): Promise<Position> {
  const size = BigInt(identity.segmentSizeBytes);
  const segments = await segmentsIn(writer.dir, identity.timeline, identity.segmentSizeBytes);
  const last = segments.at(-1);
  const from = (notBefore: Lsn): Promise<Lsn> => wal.oldestBefore(flushedLsn, notBefore);
  if (last === undefined)
    return { segmentLsn: await from(flushedLsn > catchUpBytes ? flushedLsn - catchUpBytes : 0n), tailBytes: 0, gapFrom: undefined };
  const whole = last.kind === 'whole' ? last : segments.at(-2);
  if (whole?.kind === 'whole') await requireSame(whole, wal, flushedLsn);
  const next = last.kind === 'whole' ? last.endLsn : last.startLsn;
  if (last.kind === 'tail') {
    const tail = await sharedTail(writer, wal, last, { identity, flushedLsn }, signal);
    if (tail !== undefined) return { segmentLsn: next, tailBytes: tail, gapFrom: undefined };
  } else if (next >= flushedLsn || (await wal.read(next, next + 1n)) !== undefined)
    return { segmentLsn: next, tailBytes: 0, gapFrom: undefined };
  const oldest = await from(next + size);
  return { segmentLsn: oldest, tailBytes: 0, gapFrom: last.endLsn };
}

async function requireSame({ name, startLsn, endLsn, sha16, path }: ArchivedSegment, wal: PgWal, flushedLsn: Lsn): Promise<void> {
  if (endLsn > flushedLsn)
    throw parted(`the archive has segment ${name} whole, and this server has only come to LSN ${formatLsn(flushedLsn)}`);
  const hash = newSha16();
  const piece = newPiece();
  for (let from = startLsn; from < endLsn; from += PIECE_BYTES) {
    const bytes = await wal.read(from, from + PIECE_BYTES < endLsn ? from + PIECE_BYTES : endLsn, piece);
    if (bytes === undefined) return; // The server does not have it any more.
    hash.update(bytes);
  }
  if (hash.sha16() !== sha16) throw parted(`segment ${name} of this server differs from ${path}`);
}

/**
 * How much of the tail the server has too; undefined where the server does not have that segment any more. What the tail has beyond that is cut off where
 * it is no whole record: a crash ends within a record that nobody was told of, and the server then writes over it.
 */
async function sharedTail(
  writer: ArchiveWriter,
  wal: PgWal,
  { name, startLsn, path }: ArchivedSegment,
  { identity, flushedLsn }: Pick<Reached, 'identity' | 'flushedLsn'>,
  signal: AbortSignal,
): Promise<number | undefined> {
  const length = BigInt((await writer.tailLength(name)) ?? 0);
  const until = flushedLsn - startLsn < length ? flushedLsn - startLsn : length;
  const [ours, theirs] = [newPiece(), newPiece()];
  let shared = 0;
  for (let at = 0n; at < until && BigInt(shared) === at; at += PIECE_BYTES) {
    const to = at + PIECE_BYTES < until ? at + PIECE_BYTES : until;
    const own = await wal.read(startLsn + at, startLsn + to, ours);
    if (own === undefined) return undefined;
    shared += sharedLength(await writer.tailBytes(name, Number(at), Number(to), theirs), own);
  }
  if (BigInt(shared) === length) return shared;
  const records = await endOfRecords(await writer.tailBytes(name, 0, Number(length)), name, identity, signal);
  if (records === undefined || records <= startLsn + BigInt(shared)) return shared;
  throw parted(
    `${path} has WAL up to LSN ${formatLsn(records)}, and this server has other WAL from ${formatLsn(startLsn + BigInt(shared))} on`,
  );
}

/** How many bytes both begin with. */
export function sharedLength(one: Buffer, other: Buffer): number {
  let length = Math.min(one.length, other.length);
  if (one.subarray(0, length).equals(other.subarray(0, length))) return length;
  let low = 0;
  while (low < length) {
    const middle = (low + length + 1) >> 1;
    if (one.subarray(low, middle).equals(other.subarray(low, middle))) low = middle;
    else length = middle - 1;
  }
  return low;
}

/** Behind the last whole record that begins in the tail; undefined where none does. */
async function endOfRecords(kept: Buffer, name: string, identity: WalIdentity, signal: AbortSignal): Promise<Lsn | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'dbkit-tail-'));
  try {
    await writeFile(join(directory, name), kept, { mode: 0o600 });
    const start = kept.length >= 16 ? kept.readBigUInt64LE(8) : 0n;
    return (await readFromSegment(fromText(directory), segmentOf(start, identity.segmentSizeBytes), identity, signal))?.end;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const parted = (what: string): DbkitError =>
  new DbkitError('wal.conflict', what, {
    hint: 'this is older data, or a copy, of the server whose archive that is: move the folder of that archive away, or set another BACKUP_DIR',
  });
