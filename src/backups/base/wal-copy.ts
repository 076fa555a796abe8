import { readdir } from 'node:fs/promises';
import { type BytePath, fromText, join, toBytes } from '../../formats/byte-path.ts';
import {
  holdsSegment,
  LONG_HEADER_BYTES,
  readSegmentHeader,
  type SegmentHeader,
  segmentName,
  segmentRange,
  timelineOfHistory,
  type WalIdentity,
} from '../../formats/wal-segment.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Identity } from '../../kernel/machine.ts';
import { openPlain, unlessNoFile } from '../../machine/plain-file.ts';
import { copyFile } from '../copy-file.ts';
import type { BackupRecord } from './record.ts';

/** A segment's first page header; undefined when the file is missing, shorter than `atLeastBytes`, or holds no WAL. */
export async function headerOf(directory: BytePath, name: string, atLeastBytes: number): Promise<SegmentHeader | undefined> {
  const file = await openPlain(toBytes(join(directory, fromText(name)))).catch(unlessNoFile);
  if (!file) return undefined;
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(LONG_HEADER_BYTES), 0, LONG_HEADER_BYTES, 0);
    return size >= atLeastBytes && bytesRead === LONG_HEADER_BYTES ? readSegmentHeader(buffer) : undefined;
  } finally {
    await file.close();
  }
}

/**
 * The file name of `segment` when `directory` holds exactly that segment, or at least its first `atLeastBytes`; undefined when it is missing or
 * holds something else.
 */
export async function findSegment(
  directory: BytePath,
  segment: bigint,
  identity: WalIdentity,
  atLeastBytes = identity.segmentSizeBytes,
): Promise<string | undefined> {
  const name = segmentName(identity.timeline, segment, identity.segmentSizeBytes);
  const header = await headerOf(directory, name, atLeastBytes);
  return holdsSegment(header, { ...identity, segment }) ? name : undefined;
}

export interface CopiedWal {
  readonly wal: BackupRecord['wal'];
  /** The bytes that it takes on disk: a segment that was closed early is zeroes from there on, which are not written. */
  readonly walNewBytes: number;
}

/**
 * Stores the segments `first` to `last`, and every timeline history, in the staged pg_wal. A segment that is missing, or does not hold what
 * its name says, fails the backup: it would not restore.
 */
export async function copyWal(
  { from, staging, owner }: { from: BytePath; staging: BytePath; owner: Identity | undefined },
  { first, last }: { first: bigint; last: bigint },
  identity: WalIdentity,
  signal: AbortSignal,
): Promise<CopiedWal> {
  const histories = (await readdir(toBytes(from))).filter((name) => timelineOfHistory(name) !== undefined);
  const segments: string[] = [];
  for (const segment of segmentRange(first, last)) {
    const name = await findSegment(from, segment, identity);
    if (name === undefined) {
      const missing = segmentName(identity.timeline, segment, identity.segmentSizeBytes);
      throw new DbkitError('data.corrupt', `WAL segment ${missing}, which the backup needs, is missing from pg_wal or damaged`, {
        hint: 'if max_slot_wal_keep_size is set, raise it; then take the backup again',
      });
    }
    segments.push(name);
  }
  const wal: BackupRecord['wal'] = [];
  let walNewBytes = 0;
  for (const name of [...segments, ...histories]) {
    signal.throwIfAborted();
    const path = fromText(`pg_wal/${name}`);
    const size = { sizeBytes: identity.segmentSizeBytes, sizeMaxBytes: identity.segmentSizeBytes };
    const { copied } = copyFile({
      path,
      from: join(from, fromText(name)),
      to: join(staging, path),
      ...size,
      mode: 0o600,
      owner,
      pages: undefined,
      sync: true,
      sparse: true,
    });
    if (!copied) throw new DbkitError('data.corrupt', `WAL file ${name} vanished while it was copied`, { hint: 'take the backup again' });
    wal.push({ name, sizeBytes: copied.sizeBytes, sha256: copied.sha256 });
    walNewBytes += copied.writtenBytes;
  }
  return { wal, walNewBytes };
}
