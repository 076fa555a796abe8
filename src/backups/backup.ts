import type { KnownDamage } from '../inspection/known-damage.ts';
import type { KnownFile } from '../inspection/known-file.ts';
import type { Baseline } from '../inspection/prove.ts';
import type { PointPlan, PointRequest } from './base/points/point.ts';
import type { ReachableMoments } from './base/points/reachable.ts';
import type { ServingReport } from './base/points/serving.ts';
import type { SameFile } from './base/same-files.ts';
import type { DrillReport } from './drill.ts';
import type { Loader } from './dump/loader.ts';
import type { LoadReport } from './load-dump.ts';

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
  /** Bytes that it added to the repository; the rest it shares with earlier ones. Undefined where nothing is shared. */
  readonly newBytes?: number | undefined;
  /** False where a later backup has taken files over: then `path` is no data directory, and a restore makes one. */
  readonly isPlain?: boolean | undefined;
  /** A person's own words about it. */
  readonly note?: string | null | undefined;
  /** Never expires. */
  readonly pinned?: boolean | undefined;
  /** When its bytes were last read again, and when a drill last started it. */
  readonly verifiedAt?: string | null | undefined;
  readonly provenAt?: string | null | undefined;
  /** How long the restore took that has proven it. */
  readonly restoreMs?: number | undefined;
  /** Of a dump: the databases that it holds. */
  readonly databases?: readonly string[] | undefined;
  /** Of a dump: nothing that was committed after this moment is surely in it. Its snapshots are older than `createdAt`, when it was whole. */
  readonly dataAt?: string | undefined;
  /** Of a dump: databases, rows or damaged tables were left out because somebody wished it so. */
  readonly isPartial?: boolean | undefined;
  /** Of a dump: databases that the server had, and that it could not hold. */
  readonly leftOut?: readonly { readonly database: string; readonly because: string }[] | undefined;
  /** Damage of the data that was known when it was taken: it is not good for that, and never counts as good. */
  readonly knownDamage?: readonly KnownDamage[] | undefined;
}

/** Whole, and of data that was whole as far as anybody knew. */
export const isGood = ({ state, knownDamage = [] }: Pick<Backup, 'state' | 'knownDamage'>): boolean =>
  state !== 'damaged' && knownDamage.length === 0;

export interface SalvageOptions {
  /** Tables that cannot be read, by database, as pg_dump's --exclude-table takes them. */
  readonly leaveOut: ReadonlyMap<string, readonly string[]>;
  /** Told of a database that pg_dump cannot read, with its words. */
  skip(database: string, words: string): void;
}

export interface BackupOptions {
  /** Shares nothing with earlier backups. */
  readonly full?: boolean | undefined;
  /** Base backups: what is read in a second at most, like '50MB'; undefined: as configured. */
  readonly rateLimit?: string | undefined;
  readonly note?: string | undefined;
  readonly pin?: boolean | undefined;
  /** Which databases to dump; undefined: all that hold something of the user's. Base backups hold every one. */
  readonly databases?: readonly string[] | 'all' | undefined;
  /** Dumps: tables that come without their rows, as pg_dump's patterns. */
  readonly excludeTableData?: readonly string[] | undefined;
  /** Dumps: of a damaged cluster. What cannot be read is left out, and no earlier dump makes room for it. */
  readonly salvage?: SalvageOptions | undefined;
  /** Dumps: keep the hashes of the roles' passwords too. */
  readonly rolePasswords?: boolean | undefined;
  /** Lets everybody else on the machine go first. */
  readonly lowPriority?: boolean | undefined;
  /** How long to wait for another backup that is under way; default: not at all. */
  readonly waitMs?: number | undefined;
}

export interface VerifyOptions {
  /** Also page checksums, and the WAL from the first record to the last. */
  readonly deep: boolean;
  /** Dumps: also restore into a scratch database and count the rows. */
  readonly test?: boolean | undefined;
  /** With `test`: somebody answers for a dump that was not made here. */
  readonly isTrusted?: boolean | undefined;
}

/** More about one backup than a list has room for; units stand last in the names. */
export type BackupDetails = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

/** Tells if retention keeps a backup, with the reason. */
export interface RetentionDecision {
  readonly label: string;
  readonly keep: boolean;
  /** The row of a table of retention (`dbkit explain`). */
  readonly reason: string;
  readonly because: string;
}

/** The part that is to be brought back from a dump. */
export interface LoadRequest {
  /** Which of the dump's databases; undefined: the only one. */
  readonly database: string | undefined;
  /** A new name; undefined: it takes the place of the database of that name, which is kept under another. */
  readonly into: string | undefined;
  /** Somebody answers for a dump that was not made here: what only a superuser may make is made. */
  readonly isTrusted?: boolean;
  /** Where the server listens, when it is not where the configuration says. */
  readonly socketDir?: string | undefined;
  /**
   * `into` is a name for a while, until it bears its own: every row must be there, and what can live under that name alone is not missing, but left
   * to `loadLate`. The same for a database that takes its own name at once.
   */
  readonly mustBeWhole?: boolean | undefined;
  /**
   * Loaded and under a temporary name, while everything in it is the loader's, has no privileges yet, and nobody else may connect. Resolves to what is
   * not as it was now; when it rejects, nothing stays.
   */
  readonly rewrite?: ((name: string, loader: Loader) => Promise<LoadReport['missing']>) | undefined;
}

/** The backups of one kind, whatever they are made of: one home lists, pins, annotates, expires and describes. */
export interface Repository {
  /** Oldest first. */
  list(signal: AbortSignal): Promise<readonly Backup[]>;
  describe(backup: Backup, signal: AbortSignal): Promise<BackupDetails>;
  /** Changes what people say about a backup; what is not named stays. */
  annotate(backup: Backup, words: { readonly pinned?: boolean; readonly note?: string | null }, signal: AbortSignal): Promise<Backup>;
  /** Applies retention; `dryRun` only says what it would do. */
  expire(options: { dryRun: boolean }, signal: AbortSignal): Promise<readonly RetentionDecision[]>;
}

/** A file that a backup holds no more, or not as it was. */
export interface DamagedFile {
  readonly path: string;
  readonly isMissing: boolean;
}

/** The place in the WAL that a staged backup comes to. Times are RFC 3339, LSNs as PostgreSQL prints them. */
export interface ReachedEnd {
  /** The last commit that is replayed behind the backup; null where there is none. */
  readonly at: string | null;
  readonly lsn: string;
  /** How far the instance had come at least, where that is known to be further. */
  readonly owedLsn: string | null;
  /** The same for people. */
  readonly phrase: string;
}

/** Copies of the instance's files: dbkit's own, or pgBackRest's. None of this touches the data itself. */
export interface BaseBackups {
  readonly kind: 'physical';
  /** With `copy` a backup's path holds its pg_control; with `pgbackrest` nothing can be read before a restore. */
  readonly name: 'copy' | 'pgbackrest';
  readonly repository: Repository;
  take(signal: AbortSignal, options?: BackupOptions): Promise<Backup>;
  /**
   * Writes a backup into an empty directory. `walFrom` is the pg_wal of the instance that is being replaced: what is contiguous there is rolled
   * forward. `gatherIn` is a folder that does not exist: WAL that pg_wal lacks is laid out there from the archive. `durable: false` for a copy that need not survive a power cut.
   */
  stage(
    backup: Backup,
    target: {
      directory: string;
      walFrom: string | undefined;
      durable?: boolean | undefined;
      gatherIn?: string | undefined;
      /** Up to this moment, from wherever WAL is kept. */
      point?: PointRequest | undefined;
      /** Takes a damaged backup too, as long as the damage is of files that a server runs without: they are named. */
      isTolerant?: boolean | undefined;
      /** The caller says how it recovers, as Patroni does: no signal file, and no settings of a recovery. */
      leavesRecovery?: boolean | undefined;
    },
    signal: AbortSignal,
  ): Promise<{ reached: ReachedEnd | undefined; complete: boolean; damaged?: readonly DamagedFile[] }>;
  /**
   * Which backup and which place in the WAL a moment is; `label`: only from that backup. Rejects with `recovery.refused` and the nearest moments
   * where none leads there.
   */
  findPoint(request: PointRequest, label: string | undefined, signal: AbortSignal): Promise<PointPlan>;
  /** Which base backup serves a moment, and why each of the others does not. Rejects with `backup.missing` where there is none. */
  serving(request: PointRequest, signal: AbortSignal): Promise<ServingReport>;
  /** Reads all WAL that is there. `timeline`: only that one. Rejects with `backup.missing` where no base backup of the cluster is there. */
  reachable(timeline: number | undefined, signal: AbortSignal): Promise<ReachableMoments>;
  /** Reads every byte again and keeps the result with the record. Rejects with `data.corrupt`, naming what is wrong. */
  verify(backup: Backup, signal: AbortSignal, options?: VerifyOptions): Promise<void>;
  /** Keeps the result of a drill with the backup. */
  prove(backup: Backup, drill: DrillReport, signal: AbortSignal): Promise<void>;
  /** False when the data in `dataDir` has never been where the backup ends: a restore has left its timeline since. */
  descends(backup: Backup, dataDir: string, signal: AbortSignal): Promise<boolean>;
  /** Tells if the instance was written to since the newest backup, with the reason. */
  changedSinceLast(signal: AbortSignal): Promise<{ readonly changed: boolean; readonly because: string }>;
  /** Which of these files the backup provably holds byte for byte, plain, and where; read and compared with the manifest. */
  sameFiles(backup: Backup, files: readonly KnownFile[], signal: AbortSignal): Promise<ReadonlyMap<string, SameFile>>;
  /** Where the backup holds this very WAL segment, read and compared with its record; undefined where it does not. */
  walSegment(backup: Backup, name: string, signal: AbortSignal): Promise<string | undefined>;
  /** True when the WAL from the backup's end to the last flushed record is in `dataDir`/pg_wal, so that restoring it loses no row. */
  rollsForward(backup: Backup, dataDir: string, signal: AbortSignal): Promise<boolean>;
  /** The backup as something that pages are held against; undefined when it is gone. */
  baseline(backup: Backup, signal: AbortSignal): Promise<Baseline | undefined>;
}

/** Archives that PostgreSQL's own pg_dump writes, for another major version, one database or one table. */
export interface Dumps {
  readonly kind: 'logical';
  readonly name: 'dump';
  readonly repository: Repository;
  take(signal: AbortSignal, options?: BackupOptions): Promise<Backup>;
  /** Brings one database back beside what is there, counts its rows, and only then lets it take its place. */
  load(backup: Backup, request: LoadRequest, signal: AbortSignal): Promise<LoadReport>;
  /**
   * For a database that `load` brought with `mustBeWhole` under another name, once it bears its own: the extensions that live under that name alone,
   * with their rows, and subscriptions. Resolves to what could not be made.
   */
  loadLate(backup: Backup, database: string, signal: AbortSignal): Promise<LoadReport['missing']>;
  /** Reads every byte again and keeps the result with the record. Rejects with `data.corrupt`, naming what is wrong. */
  verify(backup: Backup, signal: AbortSignal, options?: VerifyOptions): Promise<void>;
  /**
   * One database under a temporary name in the running server, for as long as `work` takes; undefined: the only one. Rejects with
   * `recovery.refused` where a dump that was not made here, and that nobody answers for, would give its objects to a mighty role.
   */
  onScratchDatabase<T>(
    backup: Backup,
    request: Pick<LoadRequest, 'database' | 'isTrusted'>,
    work: (scratch: { readonly name: string; readonly of: string }) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
}

export type Backups = BaseBackups | Dumps;

/** A backup and what it is one of: found once, and handed on. */
export interface FoundBackup<B extends Backups = Backups> {
  readonly backup: Backup;
  readonly of: B;
}
