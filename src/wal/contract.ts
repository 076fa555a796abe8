import type { Fork } from '../formats/timeline-history.ts';
import type { Lsn } from '../formats/wal-segment.ts';
import type { DbkitError } from '../kernel/errors.ts';

/** One file of the archive that holds WAL. Two of kind `whole` with one name and two hashes are a conflict: both are listed. */
export interface ArchivedSegment {
  /** The segment's file name, 24 hexadecimal digits. */
  readonly name: string;
  readonly timeline: number;
  readonly startLsn: Lsn;
  /** Behind its last byte: the segment's end, or how far the tail has come. */
  readonly endLsn: Lsn;
  readonly path: string;
  readonly kind: 'whole' | 'tail';
  /** The plain bytes. */
  readonly sizeBytes: number;
  /** Its size on the disk. */
  readonly storedBytes: number;
  /** The first 16 hexadecimal digits of the SHA-256 of the plain bytes; only whole segments have it in their names. */
  readonly sha16?: string;
}

export interface ArchivedTimeline {
  readonly id: number;
  /** Its ancestors, oldest first; empty for a first timeline, and where its history file is not in the archive. */
  readonly history: readonly Fork[];
  /** Sorted by LSN; a hole is where one begins behind the end of the one before it. */
  readonly segments: readonly ArchivedSegment[];
}

/** Written with the first segment: whose WAL it is, and which data directory writes it. */
export interface ArchiveRecord {
  readonly schema: 'dbkit.wal/v1';
  readonly systemIdentifier: string;
  readonly segmentSizeBytes: number;
}

/** A part of an archive that is not what was kept there. */
export interface ArchiveDamage {
  /** Undefined: nobody can tell. */
  readonly timeline: number | undefined;
  readonly error: DbkitError;
}

/** The kept WAL of one server, read. */
export interface WalArchive {
  readonly systemIdentifier: string;
  /** BACKUP_DIR/wal/<system identifier>. */
  readonly dir: string;
  /** Undefined where nothing has been kept yet. */
  segmentSizeBytes(): Promise<number | undefined>;
  /** Sorted by id. Empty where nothing has been kept. Rejects with `wal.damaged`. */
  timelines(signal: AbortSignal): Promise<readonly ArchivedTimeline[]>;
  /** The same, without what is provably damaged, which is told beside it. */
  survey(signal: AbortSignal): Promise<{ readonly timelines: readonly ArchivedTimeline[]; readonly damage: readonly ArchiveDamage[] }>;
  /** The plain bytes: the whole segment, or as much of it as the tail has. Rejects with `wal.damaged` where they are not what the name says. */
  read(segment: ArchivedSegment, signal: AbortSignal): Promise<Buffer>;
  /** The one segment of that name. Undefined where there is none. Rejects with `wal.conflict` where there are two. */
  segment(name: string): Promise<ArchivedSegment | undefined>;
  /**
   * Writes a segment or a history file to `to`, plain; a tail is filled up with zeroes, where recovery ends. False: it is not in the archive.
   * Rejects with `wal.damaged`, and with `wal.conflict` where two different segments have that name.
   */
  fetch(name: string, to: string, signal: AbortSignal): Promise<boolean>;
}
