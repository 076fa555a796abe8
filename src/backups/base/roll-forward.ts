import { open, readdir } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { type BytePath, fromText, join, toBytes } from '../../formats/byte-path.ts';
import { readWal } from '../../formats/wal-reader.ts';
import {
  holdsSegment,
  LONG_HEADER_BYTES,
  type Lsn,
  lastSegmentOf,
  parseLsn,
  parseSegmentName,
  segmentOf,
  segmentRange,
  timelineOfHistory,
  type WalIdentity,
} from '../../formats/wal-segment.ts';
import type { Identity } from '../../kernel/machine.ts';
import { copyFile } from '../copy-file.ts';
import { writeNew } from '../durable-tree.ts';
import type { BackupRecord } from './record.ts';
import { findSegment, headerOf } from './wal-copy.ts';

/** What the replaced instance's pg_wal offers beyond a backup. */
export interface RollForward {
  /** File names to take over, in order; empty when there is nothing beyond the backup. */
  readonly segments: readonly string[];
  /** True when replaying them brings back everything that instance ever wrote; false when WAL is known or feared to be missing. */
  readonly complete: boolean;
  /** The end of the last whole record. */
  readonly end: Lsn;
  /** The last commit in them; undefined when there is none. */
  readonly lastCommitAt: Date | undefined;
  /** True when a tablespace is made in them. */
  readonly createsTablespaces: boolean;
}

/**
 * Plans how far `walFrom` can be replayed after `record`, reading every record on the way as recovery will: on the same timeline of the same
 * system, to the first that is not whole. `atLeast` is the last checkpoint that instance remembers: WAL that ends before it is missing some.
 */
export async function planRollForward(
  record: BackupRecord,
  walFrom: string | undefined,
  atLeast: Lsn | undefined,
  signal: AbortSignal,
): Promise<RollForward> {
  const stop = parseLsn(record.stopLsn);
  const names = walFrom === undefined ? undefined : await readdir(walFrom).catch(() => undefined);
  if (walFrom === undefined || names === undefined)
    return { segments: [], complete: false, end: stop, lastCommitAt: undefined, createsTablespaces: false };
  const directory = fromText(walFrom);
  const identity = identityOf(record);
  const start = rollForwardStart(record);
  const { end, broken, lastCommitAt, createsTablespaces } = await readWal(directory, identity, start, signal);
  const size = identity.segmentSizeBytes;
  const segments = end > start ? await wholeSegments(directory, segmentOf(start, size), lastSegmentOf(end, size), identity) : [];
  const next = end > start ? lastSegmentOf(end, size) + 1n : segmentOf(start, size);
  const short = atLeast !== undefined && atLeast > start && atLeast >= end;
  const complete = !broken && !short && !(await hasWalBeyond(directory, names, next, identity));
  return { segments, complete, end: end > start ? end : stop, lastCommitAt, createsTablespaces };
}

/**
 * A primary's stop fills its segment, so what follows begins with the next; a standby's ends where its recovery was; a cold backup ends with a
 * checkpoint that is read again.
 */
export function rollForwardStart({ mode, fromStandby, stopLsn, checkpointLsn, walSegmentSizeBytes }: BackupRecord): Lsn {
  if (mode === 'cold') return parseLsn(checkpointLsn);
  const stop = parseLsn(stopLsn);
  return fromStandby ? stop : (lastSegmentOf(stop, walSegmentSizeBytes) + 1n) * BigInt(walSegmentSizeBytes);
}

async function wholeSegments(directory: BytePath, first: bigint, last: bigint, identity: WalIdentity): Promise<string[]> {
  const found = await Promise.all(
    segmentRange(first, last).map((segment) => findSegment(directory, segment, identity, LONG_HEADER_BYTES)), // Records were read from each.
  );
  return found.filter((name) => name !== undefined);
}

export const identityOf = ({ systemIdentifier, timeline, walSegmentSizeBytes }: BackupRecord): WalIdentity => ({
  systemIdentifier,
  timeline,
  segmentSizeBytes: walSegmentSizeBytes,
});

/** Whether a real segment (not a recycled file waiting for its turn) is there from `next` on, or on a later timeline. */
async function hasWalBeyond(directory: BytePath, names: readonly string[], next: bigint, identity: WalIdentity): Promise<boolean> {
  for (const name of names) {
    const parsed = parseSegmentName(name, identity.segmentSizeBytes);
    if (!parsed || parsed.timeline < identity.timeline || (parsed.timeline === identity.timeline && parsed.segment < next)) continue;
    const header = await headerOf(directory, name, LONG_HEADER_BYTES);
    if (holdsSegment(header, { ...identity, ...parsed })) return true;
  }
  return false;
}

/** A segment that was cut off behind its last record: the server restores none that is not whole. */
async function fill(path: BytePath, sizeBytes: number): Promise<void> {
  const file = await open(toBytes(path), 'r+');
  try {
    await file.truncate(sizeBytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Copies what the plan names into the restored pg_wal, archive status with it: what was archived need not be archived again. */
export async function copyRollForward(
  plan: RollForward,
  { walFrom, target, owner, fileMode }: { walFrom: string; target: BytePath; owner: Identity | undefined; fileMode: number },
  identity: WalIdentity,
  signal: AbortSignal,
): Promise<void> {
  const names = await readdir(walFrom);
  // Histories of later timelines only keep the server from choosing one of their numbers again.
  const histories = names.filter((name) => (timelineOfHistory(name) ?? 0) > identity.timeline);
  const archived = new Set(await readdir(`${walFrom}/archive_status`).catch(() => []));
  for (const name of [...histories, ...plan.segments]) {
    await turn();
    signal.throwIfAborted();
    const path = fromText(name);
    const [from, to] = [join(fromText(walFrom), path), join(target, path)];
    const size = { sizeBytes: identity.segmentSizeBytes, sizeMaxBytes: identity.segmentSizeBytes };
    const { copied } = copyFile({ path, from, to, ...size, mode: fileMode, owner, pages: undefined, sync: true });
    if (copied && plan.segments.includes(name) && copied.sizeBytes < size.sizeBytes) await fill(to, size.sizeBytes);
    if (archived.has(`${name}.done`)) await writeNew(join(target, fromText(`archive_status/${name}.done`)), '', { mode: fileMode, owner });
  }
}
