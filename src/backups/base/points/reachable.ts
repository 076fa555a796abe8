import type { DestructionKind } from '../../../wal/moments/moment.ts';

/** A place in the WAL with its time: RFC 3339 with microseconds, UTC; null where nothing tells the time. */
export interface ReachablePlace {
  readonly lsn: string;
  readonly at: string | null;
}

/** An unbroken run of moments: each of them can be restored to. */
export interface ReachableSpan {
  /** The base backup that it begins with; a later backup within it begins none. */
  readonly label: string;
  /** The end of that backup, or the fork of the timeline. */
  readonly from: ReachablePlace;
  /** The end of the WAL, with the time of the last commit. */
  readonly to: ReachablePlace;
  readonly commits: number;
  /** Why it ends there: nothing follows; WAL is missing; the WAL behind it does not hold everything; a segment is damaged. */
  readonly ends: 'end' | 'gap' | 'minimal' | 'damaged';
  /** The words of the damage. */
  readonly problem: string | null;
}

/** Something that people look for, in the order of the WAL. */
export interface ReachableEvent {
  readonly at: string;
  readonly lsn: string;
  readonly kind: DestructionKind | 'restore-point' | 'restart' | 'timeline';
  readonly xid: number | null;
  readonly database: string | null;
  /** Tables, a database, or the name of a restore point. */
  readonly names: readonly string[];
  /** Deleted rows; 0 for every other kind. */
  readonly rows: number;
}

/** One timeline from its fork on; what is before it stands with its ancestor. */
export interface ReachableTimeline {
  readonly timeline: number;
  /** The data is on it now: a moment is one of this timeline unless --timeline says otherwise. */
  readonly current: boolean;
  readonly forkedFrom: { readonly timeline: number; readonly lsn: string } | null;
  readonly spans: readonly ReachableSpan[];
  /** Between spans, where no backup leads. */
  readonly gaps: readonly { readonly from: ReachablePlace; readonly to: ReachablePlace }[];
  readonly backups: readonly { readonly label: string; readonly createdAt: string; readonly state: string; readonly stopLsn: string }[];
  readonly events: readonly ReachableEvent[];
  /** Minutes without a commit are left out. */
  readonly commitsPerMinute: readonly { readonly minute: string; readonly commits: number }[];
  /** Why it could not be read; null as a rule. */
  readonly problem: string | null;
}

/** `dbkit timeline`: JSON; fields are only ever added. */
export interface ReachableMoments {
  readonly systemIdentifier: string;
  readonly currentTimeline: number;
  /** Where `--to latest` leads; null where nothing leads to the timeline that the data is on. */
  readonly latest: ReachablePlace | null;
  readonly timelines: readonly ReachableTimeline[];
}
