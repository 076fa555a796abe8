import type { ProbeName } from '../config/probe-names.ts';
import type { Finding, KnownDamage } from '../inspection/findings.ts';

/** Why there is no session with the server. */
export type RefusalKind =
  /** Nobody listens. */
  | 'silent'
  /** It takes connections and does not answer them. */
  | 'hung'
  /** It starts, stops, or replays its WAL. */
  | 'starting'
  | 'full'
  | 'not-let-in'
  | 'no-database'
  | 'read-only'
  /** A pooler answers, not PostgreSQL. */
  | 'pooler'
  /** It answers, and says that a file or a page is not what it should be. */
  | 'damaged'
  /** dbkit itself has no descriptor, no memory or no port left: that says nothing about the server. */
  | 'own'
  /** Somebody else listens in its place. */
  | 'foreign'
  | 'other';

export interface Waiting {
  readonly pid: number;
  readonly who: string;
  readonly seconds: number;
}

/** A transaction that was prepared and neither committed nor rolled back. */
export interface Prepared {
  readonly gid: string;
  readonly database: string;
  readonly owner: string;
  readonly seconds: number;
}

export interface Slot {
  readonly name: string;
  readonly kind: 'physical' | 'logical';
  readonly active: boolean;
  /** PostgreSQL's own word: 'reserved', 'extended', 'unreserved', 'lost'; null where it has none. */
  readonly walStatus: string | null;
  /** WAL that it keeps from being removed. */
  readonly retainedBytes: number;
}

export interface VolumeFacts {
  readonly what: string;
  readonly path: string;
  readonly usedBytes: number;
  readonly freeBytes: number;
  readonly percent: number;
  readonly inodesPercent: number;
  readonly secondsUntilFull: number | null;
}

/** The subject of a line of the server's log. */
export type LogSubject = 'data' | 'disk' | 'shared-memory' | 'process' | 'start';

/** The figures of each of dbkit's own probes, for machines: what `health --json` prints as `data`. Fields are only ever added. */
export interface ProbeFacts extends Record<ProbeName, unknown> {
  readonly service: {
    readonly state: 'running' | 'starting' | 'stopping' | 'halted' | 'absent' | 'gone';
    readonly pid?: number;
    /** Line 8 of postmaster.pid. */
    readonly status?: string;
    readonly processes?: number;
    /** Processes that a signal has stopped. */
    readonly stopped?: readonly number[];
  };
  /** Damage that is neither mended nor accepted. */
  readonly damage: { readonly damaged: readonly KnownDamage[] };
  readonly connection: {
    readonly why?: RefusalKind;
    readonly words?: string;
    readonly version?: string | null;
    readonly standby?: boolean | null;
  };
  readonly authentication: { readonly connectMs?: number; readonly why?: RefusalKind; readonly words?: string };
  readonly latency: { readonly seconds: number };
  readonly write: { readonly seconds?: number; readonly words?: string; readonly synchronousMissing?: number };
  readonly 'data-directory': readonly Pick<Finding, 'code' | 'path' | 'evidence' | 'severity'>[];
  readonly disk: readonly VolumeFacts[];
  readonly connections: { readonly used: number; readonly usable: number };
  readonly 'long-queries': readonly Waiting[];
  readonly 'idle-in-transaction': readonly (Waiting | Prepared)[];
  readonly blocked: readonly (Waiting & { readonly blocker: number; readonly blocker_who: string; readonly blocker_state: string })[];
  readonly wal: {
    readonly archiving: boolean;
    readonly archiveFailures: number;
    /** Segments that wait to be archived. */
    readonly archiveWaiting?: number;
    readonly walBytes?: number;
    readonly maxWalBytes?: number;
  };
  readonly 'wal-archive': {
    readonly state: 'keeping' | 'waiting' | 'failing' | 'stopped';
    readonly guarded: boolean;
    /** When the oldest good base backup was done behind the last gap that was noticed; null where there is none, or no WAL yet. */
    readonly fromAt?: string | null;
    /** As PostgreSQL prints it; null where nothing is kept yet. */
    readonly endLsn: string | null;
    readonly lagBytes: number | null;
    readonly lagSeconds: number | null;
    /** The most that the tier may lose. */
    readonly rpoSeconds?: number | null;
  };
  readonly replication:
    | readonly {
        readonly name: string;
        readonly state: string;
        readonly seconds: number;
        /** Bytes. */
        readonly behind: number;
        /** 'sync', 'quorum', 'potential', 'async'; null where this role may not see it. */
        readonly sync: string | null;
      }[]
    | {
        readonly seconds: number | null;
        readonly receiving: boolean;
        readonly paused: boolean;
        /** Bytes that its primary has written and it has not replayed yet; null where it hears nothing. */
        readonly behind: number | null;
        /** The server that it follows, 'HOST:PORT', and the timeline that it receives; null where it hears nothing. */
        readonly upstream: string | null;
        readonly timeline: number | null;
        /** The member that leads its cluster (`ha.members`); null where none says that it does, absent where there is no cluster. */
        readonly leader?: string | null;
      };
  readonly slots: readonly Slot[];
  readonly wraparound: { readonly database: string; readonly xids: number; readonly multixacts: number };
  readonly collations: readonly {
    readonly database: string;
    readonly collation: string | null;
    /** As SQL takes its name; of a collation alone. */
    readonly quoted?: string;
    readonly made: string;
    readonly now: string | null;
  }[];
  readonly checksums: readonly { readonly database: string; readonly failures: number; readonly last: string }[];
  readonly log: { readonly path: string; readonly lines?: readonly string[]; readonly subjects?: readonly LogSubject[] };
  readonly backups: {
    readonly backups: number;
    readonly label?: string;
    readonly state?: string;
    readonly ageSeconds?: number;
    readonly proofAgeSeconds?: number | null;
    /** How long the restore took that was rehearsed last, and how long the tier allows. */
    readonly restoreSeconds?: number | null;
    readonly rtoSeconds?: number | null;
  };
  /** By name, as the configuration has them. */
  readonly copies: readonly {
    readonly name: string;
    readonly key: 'opens' | 'does-not-open' | 'absent' | 'none';
    /** Of the newest backup that is verified there, and the seconds since it was made. */
    readonly label: string | null;
    readonly ageSeconds: number | null;
    /** Verified ones. */
    readonly backups: number;
    /** Why nothing can be copied. */
    readonly failing: string | null;
    /** Its WAL behind the archive here; null where that is not known, or it is sent with backups only. */
    readonly walLagBytes?: number | null;
    readonly walLagSeconds?: number | null;
    readonly walFailing?: string | null;
    /** The most that the tier may lose. */
    readonly rpoSeconds?: number | null;
  }[];
  readonly migrations: OwnFacts;
}

/** Of a question of the user's own: the first column, the exit status, or the words of a failure. */
export type OwnFacts = { readonly answer?: unknown; readonly exitCode?: number; readonly words?: string };

export type AnyFacts = ProbeFacts[ProbeName] | OwnFacts;
