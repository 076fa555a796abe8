/** One restorable copy, as its record beside it says. Contract with the repository's on-disk format (DESIGN.md section 5). */
export interface Backup {
  readonly label: string;
  readonly path: string;
  readonly kind: 'physical' | 'logical';
  readonly createdAt: string;
  readonly state: 'good' | 'verified' | 'proven' | 'damaged';
  /** PostgreSQL's major version. */
  readonly pgVersion: number;
  readonly systemIdentifier: string;
  readonly sizeBytes: number;
}

/** Whether retention keeps a backup, with the reason. */
export interface RetentionDecision {
  readonly label: string;
  readonly keep: boolean;
  readonly because: string;
}

/** Copies an instance out and back. `restore` writes into an empty directory beside the data and never touches the data itself. */
export interface BackupEngine {
  readonly name: string;
  readonly kind: 'physical' | 'logical';
  list(signal: AbortSignal): Promise<readonly Backup[]>;
  backup(signal: AbortSignal): Promise<Backup>;
  /** `walFrom` is the pg_wal of the instance that is being replaced: what is contiguous there is rolled forward. */
  restore(
    backup: Backup,
    target: { directory: string; walFrom: string | undefined },
    signal: AbortSignal,
  ): Promise<{ recoveredTo: string | null }>;
  verify(backup: Backup, signal: AbortSignal): Promise<void>;
  /** Whether the instance was written to since the newest backup, with the reason. */
  changedSinceLast?(signal: AbortSignal): Promise<{ readonly changed: boolean; readonly because: string }>;
  /** Applies retention; `dryRun` only says what it would do. */
  expire?(options: { dryRun: boolean }, signal: AbortSignal): Promise<readonly RetentionDecision[]>;
  /** True when the WAL from the backup's end to the last flushed record is in `dataDir`/pg_wal, so that restoring it loses no row. */
  rollsForward?(backup: Backup, dataDir: string, signal: AbortSignal): Promise<boolean>;
}
