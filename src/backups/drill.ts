import type { Backup } from './backup.ts';

/** One rehearsed restore. */
export interface DrillReport {
  readonly label: string;
  readonly ok: boolean;
  readonly at: string;
  /** Restore, start and every answer: how long the data would be away. */
  readonly rtoMs: number;
  readonly restoreMs: number;
  readonly startMs: number;
  /** The rows that would be lost with the data's volume: all since the backup. */
  readonly rpoMs: number;
  /** True when the WAL since the backup is still in the instance's pg_wal: then nothing is lost as long as that can be read. */
  readonly rollsForward: boolean;
  readonly databases: number;
  readonly checks: readonly DrillCheck[];
}

export interface DrillCheck {
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** Why, where it has not passed. */
  readonly because: string | null;
  /** It speaks of the backup: of its bytes, or in the server's own words of what came back. Not so an assertion of somebody's, a comparison with a server that goes on, or trouble of this machine's. */
  readonly isOfBackup: boolean;
  readonly durationMs: number;
}

/** True if a drill proves its backup: everything that was tried has passed. */
export const isProof = (checks: readonly DrillCheck[]): boolean => checks.every(({ outcome }) => outcome !== 'failed');

/** The check that speaks against the backup itself; undefined where a drill has failed with a perfect one. */
export const damages = ({ checks }: Pick<DrillReport, 'checks'>): DrillCheck | undefined =>
  checks.find(({ outcome, isOfBackup }) => outcome === 'failed' && isOfBackup);

/** How long the newest restore took that has proven a backup; null where none has. */
export function rehearsedSeconds(backups: readonly Pick<Backup, 'provenAt' | 'restoreMs'>[]): number | null {
  const proven = backups.filter(({ provenAt, restoreMs }) => provenAt && restoreMs !== undefined);
  const [newest] = proven.sort((a, b) => (a.provenAt! < b.provenAt! ? 1 : -1));
  return newest === undefined ? null : newest.restoreMs! / 1000;
}
