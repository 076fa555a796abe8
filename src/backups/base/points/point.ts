import type { Lsn } from '../../../formats/wal-segment.ts';

/** A moment that is asked for, as it travels: values are text. */
export interface PointRequest {
  readonly to: 'time' | 'lsn' | 'xid' | 'name' | 'latest' | 'before';
  /** An instant in microseconds since 1970 for 'time'; an LSN; a number; a name; empty for 'latest'; '<kind> <name>' for 'before'. */
  readonly value: string;
  /** Stop before the target itself; a statement's 'before' always does, a restore point never. */
  readonly exclusive: boolean;
  /** Undefined: the timeline that the data is on. Never "the latest": that has lost rows. */
  readonly timeline: number | undefined;
}

export interface TransactionMoment {
  readonly xid: number;
  readonly lsn: string;
  readonly atMicros: string;
}

/** The moment that will be reached, and the way there; JSON. */
export interface PointPlan {
  readonly label: string;
  readonly timeline: number;
  /** Where replay stops, before the record at this place; null: at the end of the WAL that is there. */
  readonly stopBefore: string | null;
  /** The last record that is needed ends here. */
  readonly needsUpTo: string;
  /** The last commit that is in, and the first that is not. */
  readonly lastCommit: TransactionMoment | null;
  readonly nextCommit: TransactionMoment | null;
  /** The row of the table of points that decided (`dbkit explain`), and its words. */
  readonly reason: string;
  readonly because: string;
  /** Other timelines that forked off before this moment, or go another way. */
  readonly otherTimelines: readonly number[];
  /** WAL that is copied beside the data, in bytes. */
  readonly walBytes: number;
  /** The moment in words, where PostgreSQL itself finds its place on the way; null: it is the end. Absent where the place is known. */
  readonly until?: string | null;
}

/** A transaction's end as the reader meets it. */
export interface Ended {
  readonly xid: number;
  readonly lsn: Lsn;
  readonly atMicros: bigint;
}

export const toldOf = (ended: Ended | undefined, lsnText: (lsn: Lsn) => string): TransactionMoment | null =>
  ended === undefined ? null : { xid: ended.xid, lsn: lsnText(ended.lsn), atMicros: ended.atMicros.toString() };
