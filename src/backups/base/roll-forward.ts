import { open, readdir } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { type BytePath, fromText, join, toBytes } from '../../formats/byte-path.ts';
import { beginsMinimal, readWal } from '../../formats/wal-reader.ts';
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
import { unlessMissing } from '../../kernel/errors.ts';
import type { Identity } from '../../kernel/machine.ts';
import type { GatheredWal } from '../../wal/gather.ts';
import { copyFile } from '../copy-file.ts';
import { writeNew } from '../durable-tree.ts';
import type { BackupRecord } from './record.ts';
import { findSegment, headerOf } from './wal-copy.ts';

/** The WAL that the replaced instance's pg_wal has beyond a backup. */
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
  /** Replay must stop before it: from here on the server wrote WAL that does not hold everything (wal_level = minimal). */
  readonly stopBefore: Lsn | undefined;
  /** How far the instance had come at least, where that is further than its WAL; undefined when it is not. */
  readonly owed: Lsn | undefined;
  /** The timeline that it ends on: the backup's, or a later one that the archive leads to. */
  readonly timeline: number;
  /** Its end was kept in the archive: the instance may have come further, by what it wrote between two looks. */
  readonly endsInArchive: boolean;
}

/** How far an instance is known to have come: its own last checkpoint, and what was noted while it ran. */
export interface KnownToHave {
  readonly checkpointLsn: Lsn | undefined;
  readonly mark: { readonly timeline: number; readonly flushedLsn: Lsn; readonly clean: boolean; readonly at: string } | undefined;
}

/**
 * Plans how far `walFrom` can be replayed after `record`, reading every record on the way as recovery will: on the same timeline of the same
 * system, to the first that is not whole, or to the first that was written with wal_level = minimal. WAL that ends before what the instance is
 * known to have come to is missing some; and where the segment is not there in which the next record must be, nobody can tell. `walFrom` is the view
 * of what was gathered, where something was.
 */
export async function planRollForward(
  record: BackupRecord,
  walFrom: string | undefined,
  atLeast: KnownToHave,
  signal: AbortSignal,
  gathered?: GatheredWal,
): Promise<RollForward> {
  const stop = parseLsn(record.stopLsn);
  const timeline = gathered?.timeline ?? record.timeline;
  const names = walFrom === undefined ? undefined : await readdir(walFrom).catch(unlessMissing);
  if (walFrom === undefined || names === undefined)
    return {
      segments: [],
      complete: false,
      end: stop,
      lastCommitAt: undefined,
      createsTablespaces: false,
      stopBefore: undefined,
      owed: undefined,
      timeline: record.timeline,
      endsInArchive: false,
    };
  const directory = fromText(walFrom);
  const identity = { ...identityOf(record), timeline };
  const start = rollForwardStart(record);
  let stopBefore: Lsn | undefined;
  const read = await readWal(directory, identity, start, signal, (record) => {
    if (beginsMinimal(record)) stopBefore = record.lsn;
    return stopBefore === undefined;
  });
  const { broken, missing, lastCommitAt, createsTablespaces } = read;
  const end = stopBefore ?? read.end;
  const size = identity.segmentSizeBytes;
  const found = end > start ? await wholeSegments(directory, segmentOf(start, size), lastSegmentOf(end, size), identity) : [];
  const segments = gathered ? found.map((name) => gathered.nameOf(parseSegmentName(name, size)!.segment)) : found;
  const next = end > start ? lastSegmentOf(end, size) + 1n : segmentOf(start, size);
  const { owed, isElsewhere } = owedBy({ timeline }, start, end, atLeast);
  const endsInArchive = gathered?.endsInArchive ?? false;
  const isEnd = !endsInArchive || (atLeast.mark?.clean === true && atLeast.mark.flushedLsn === end); // Else it may have come further.
  const isWhole = !broken && !(missing && !endsInArchive) && stopBefore === undefined && owed === undefined && !isElsewhere && isEnd;
  const complete = isWhole && !(await hasWalBeyond(directory, names, next, identity));
  return { segments, complete, end: end > start ? end : stop, lastCommitAt, createsTablespaces, stopBefore, owed, timeline, endsInArchive };
}

/** A checkpoint is a record, so the WAL must go beyond it; a mark is where a record ends. One on a later timeline is out of reach from here. */
function owedBy(
  { timeline }: Pick<BackupRecord, 'timeline'>,
  start: Lsn,
  end: Lsn,
  { checkpointLsn, mark }: KnownToHave,
): { owed: Lsn | undefined; isElsewhere: boolean } {
  const isElsewhere = mark !== undefined && mark.timeline > timeline;
  const known = [
    checkpointLsn === undefined || checkpointLsn <= start ? 0n : checkpointLsn + 1n,
    mark?.timeline === timeline ? mark.flushedLsn : 0n,
  ];
  const furthest = known.reduce((a, b) => (a > b ? a : b));
  return { owed: furthest > start && furthest > end ? furthest : undefined, isElsewhere };
}

/**
 * A primary's stop fills its segment, so what follows begins with the next; a standby's ends where its recovery was; a cold backup ends with a
 * checkpoint that is read again.
 */
export function rollForwardStart({
  mode,
  fromStandby,
  stopLsn,
  checkpointLsn,
  walSegmentSizeBytes,
}: Pick<BackupRecord, 'mode' | 'fromStandby' | 'stopLsn' | 'checkpointLsn' | 'walSegmentSizeBytes'>): Lsn {
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

export const identityOf = ({
  systemIdentifier,
  timeline,
  walSegmentSizeBytes,
}: Pick<BackupRecord, 'systemIdentifier' | 'timeline' | 'walSegmentSizeBytes'>): WalIdentity => ({
  systemIdentifier,
  timeline,
  segmentSizeBytes: walSegmentSizeBytes,
});

/** True if a real segment (not a recycled file waiting for its turn) is there from `next` on, or on a later timeline. */
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
