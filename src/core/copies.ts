import type { Backup } from './backups.ts';
import type { DrillReport } from './drill.ts';

/** Where a copy of a backup was put to stay, beside the instance and independent of it. */
export interface CopyReport {
  readonly label: string;
  readonly directory: string;
  /** What was written into its configuration; null: the port is what it was. */
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

/** Copies of backups that are not the instance's data and never become it. */
export interface Copies {
  /** Restores into an empty or missing directory. A failure leaves it as it was. */
  copyTo(
    backup: Backup,
    target: { readonly directory: string; readonly port: number | undefined; readonly bootTest: boolean | undefined },
    signal: AbortSignal,
  ): Promise<CopyReport>;
  /** Starts a throw-away copy on a private socket for as long as `work` takes. */
  open<T>(backup: Backup, work: (copy: OpenCopy) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Restores, starts, asks every database, and measures. Keeps the result with the backup. */
  drill(backup: Backup, signal: AbortSignal): Promise<DrillReport>;
}
