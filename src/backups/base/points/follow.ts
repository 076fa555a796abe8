import { transactionEnd } from '../../../formats/transaction-record.ts';
import { beginsMinimal, RM_XACT, readRecords, type WalRecord } from '../../../formats/wal-reader.ts';
import { partsOf } from '../../../formats/wal-record.ts';
import type { Lsn, WalIdentity } from '../../../formats/wal-segment.ts';
import type { Lineage } from '../../../wal/lineage.ts';
import type { Ended } from './point.ts';

/** Where to stop: before the first record at a place or behind it, before the first end of a transaction that is too late, or nowhere. */
export type Stop =
  | { readonly kind: 'lsn'; readonly lsn: Lsn; readonly inclusive: boolean }
  | { readonly kind: 'time'; readonly atMicros: bigint; readonly inclusive: boolean }
  | { readonly kind: 'end' };

export interface Followed {
  /** The first record that is too late; undefined where there is none in what could be read. */
  readonly stopBefore: Lsn | undefined;
  /** Behind the last record that was read, the one that is too late among them. */
  readonly end: Lsn;
  readonly lastRecordLsn: Lsn | undefined;
  readonly lastCommit: Ended | undefined;
  readonly nextCommit: Ended | undefined;
  readonly createsTablespaces: boolean;
  /** Ended at the first record of a run with wal_level = minimal. */
  readonly minimal: boolean;
}

/**
 * Reads a lineage from `start`, which must be where a record begins, to the first record that is too late, as recovery would stop
 * (xlogrecovery.c, recoveryStopsBefore: a time is compared with every commit and every abort, in the order of the WAL).
 */
export async function follow(
  lineage: Lineage,
  identity: WalIdentity,
  { start, stop, major }: { readonly start: Lsn; readonly stop: Stop; readonly major: number },
  signal: AbortSignal,
): Promise<Followed> {
  let stopBefore: Lsn | undefined;
  let lastRecordLsn: Lsn | undefined;
  let lastCommit: Ended | undefined;
  let nextCommit: Ended | undefined;
  let minimal = false;
  const visit = (record: WalRecord): boolean => {
    const ended =
      record.manager === RM_XACT ? transactionEnd(record.info, record.xid, partsOf(record.bytes, major).main, major) : undefined;
    const told = ended && { xid: ended.xid, lsn: record.lsn, atMicros: ended.atMicros };
    if (isTooLate(stop, record.lsn, told?.atMicros)) {
      stopBefore = record.lsn;
      nextCommit = ended?.kind === 'commit' ? told : undefined;
      return false;
    }
    if (beginsMinimal(record)) {
      minimal = true;
      return false;
    }
    lastRecordLsn = record.lsn;
    if (ended?.kind === 'commit') lastCommit = told;
    return true;
  };
  const read = await readRecords(lineage.bytes, identity, start, signal, visit);
  const { end, createsTablespaces } = read;
  return { stopBefore, end, lastRecordLsn, lastCommit, nextCommit, createsTablespaces, minimal };
}

function isTooLate(stop: Stop, lsn: Lsn, endedAt: bigint | undefined): boolean {
  if (stop.kind === 'lsn') return stop.inclusive ? lsn > stop.lsn : lsn >= stop.lsn;
  if (stop.kind === 'end' || endedAt === undefined) return false;
  return stop.inclusive ? endedAt > stop.atMicros : endedAt >= stop.atMicros;
}
