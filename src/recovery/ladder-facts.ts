import type { Answer } from './remedy.ts';

/** The rungs that change data: what a person may choose, and what the configuration allows. */
export type Strategy = 'repair' | 'restore' | 'reinitialize';

export type Decision = 'initialize' | 'start' | Strategy | 'refuse';

export interface Facts {
  readonly state: 'empty' | 'foreign' | 'unfinished' | 'cluster';
  /** The answers to all findings. */
  readonly answers: ReadonlySet<Answer>;
  /** The newest good backup's label, if there is one for this major. */
  readonly backup: string | undefined;
  /** The newest base backup's label, where every one is damaged: it may hold most of it. */
  readonly partial: string | undefined;
  /** The newest good dump's label: of this cluster, or of the one that an interrupted restore was to load. */
  readonly dump: string | undefined;
  /** The WAL from that backup to the end is here, so restoring it loses nothing. */
  readonly rollsForward: boolean;
  /** A standby, or a recovery from an archive: another server has what this one lacks. */
  readonly follows: boolean;
  /** At least one of what asks for other bytes is positive evidence (evidence.ts), not a mount, a setting or silence. */
  readonly evident: boolean;
  /** All that asks for other bytes are indexes, which hold no row that their table does not. */
  readonly onlyIndexes: boolean;
  /** How often the data was replaced within the last hour. */
  readonly replacements: number;
  readonly maxReplacements: number;
  readonly allow: readonly Strategy[];
  /** A person's choice; undefined lets the ladder decide. */
  readonly wish: Strategy | undefined;
  /** Of an empty directory: the state folder or the repository tells of an instance that was here. */
  readonly known: boolean;
  /** BACKUP_DIR is empty, and the volume that it lay on is not mounted, or the dump that belongs into the cluster was there. */
  readonly backupsUnmounted: boolean;
  /** A repair would cut off WAL that an archive may have, which cannot be read, or whose volume is not mounted. */
  readonly archiveUnreadable: boolean;
  /** BACKUP_DIR, or what is in it of a backup that may hold more than `backup`, does not let itself be read. */
  readonly backupsUnreadable: boolean;
}
