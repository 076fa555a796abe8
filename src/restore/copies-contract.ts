import type { FoundBackup } from '../backups/backup.ts';
import type { PointRequest } from '../backups/base/points/point.ts';
import type { DrillReport } from '../backups/drill.ts';

/** Where a copy of a backup was put to stay, beside the instance and independent of it. */
export interface CopyReport {
  readonly label: string;
  readonly directory: string;
  /** The lines that were written into its configuration; null: the port is what it was. */
  readonly port: number | null;
  readonly sizeBytes: number;
  /** How many databases answered in the boot test; null where there was none. */
  readonly databases: number | null;
  readonly because: string;
  readonly durationMs: number;
}

/** How to reach a throw-away copy. */
export interface OpenCopy {
  readonly socketDir: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** The client that belongs to the server, where it is installed. */
  readonly client: string;
}

/** One table that a backup gave back. */
export interface BroughtTable {
  readonly table: string;
  /** `schema.name` where it is now: its own place when that was free, else a schema of its own beside it. */
  readonly place: string;
  readonly isInPlace: boolean;
  /** The object that is in its place, or in that of one of its partitions or children. */
  readonly taken: readonly string[];
  /** Its own and, of a partitioned one, those of its partitions. */
  readonly rows: number;
}

export interface TablesReport {
  readonly label: string;
  readonly database: string;
  /** Where tables are whose places are taken; null when every one is back in its own. */
  readonly besideSchema: string | null;
  readonly tables: readonly BroughtTable[];
  /** Foreign keys that do not hold now, or that belong to another table: each the SQL that adds it. */
  readonly foreignKeysLeftOut: readonly string[];
  /** The parts of a table that did not come back, and why; its rows did. */
  readonly missing: readonly { readonly what: string; readonly because: string }[];
  /** SQL for a person: what differs, what is missing, and the end of it, for the first table that lies beside. */
  readonly suggestions: readonly string[];
  readonly durationMs: number;
}

export interface TablesRequest {
  /** `schema.name`, or the name alone where only one schema has it. */
  readonly tables: readonly string[];
  /** Which database of the backup, and of the running server; undefined: the application's, or a dump's only one. */
  readonly database: string | undefined;
  /** Somebody answers for a dump that was not made here. */
  readonly isTrusted?: boolean;
  /** As they were at that moment; undefined: as the backup holds them. Base backups only. */
  readonly point?: PointRequest | undefined;
}

/** Copies of backups that are not the instance's data and never become it. */
export interface Copies {
  /** Restores into an empty or missing directory. A failure leaves it as it was. */
  copyTo(
    found: FoundBackup,
    target: {
      readonly directory: string;
      readonly port: number | undefined;
      readonly bootTest: boolean | undefined;
      readonly point?: PointRequest | undefined;
    },
    signal: AbortSignal,
  ): Promise<CopyReport>;
  /** Starts a throw-away copy on a private socket for as long as `work` takes. */
  open<T>(found: FoundBackup, work: (copy: OpenCopy) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Brings single tables into the running server, where nothing is replaced: what is there keeps its place. */
  bringTables(found: FoundBackup, request: TablesRequest, signal: AbortSignal): Promise<TablesReport>;
  /** Removes throw-away copies that killed runs have left, with the servers on them. */
  clearLeft(signal: AbortSignal): Promise<void>;
  /** Restores, starts, asks every database, and measures. Keeps the result with the backup. */
  drill(found: FoundBackup, signal: AbortSignal): Promise<DrillReport>;
}
