import { type BackupOptions, isGood } from '../backup.ts';
import type { Cluster } from './cluster.ts';
import type { BackupRecord } from './record.ts';

interface Asked {
  readonly cluster: Pick<Cluster, 'systemIdentifier' | 'timeline'>;
  /** Labels that were listed when the backup was asked for, while somebody held the lock. */
  readonly listed: ReadonlySet<string>;
  readonly options: Pick<BackupOptions, 'full' | 'note' | 'pin'>;
}

/**
 * The backup that somebody else took while this one waited for its turn, and that began after it was asked for: it holds all that this one
 * would. Without it a crowd of requests is a row of equal backups, and retention removes the older ones to make room. No clock tells that it
 * began later, as clocks are set back: one backup is taken at a time, so only the first that appears may have been under way. Whoever wants a
 * note or a pin gets his own. `oldestFirst`: the records in the repository. Pure.
 */
export const madeMeanwhile = (
  oldestFirst: readonly BackupRecord[],
  { cluster: { systemIdentifier, timeline }, listed, options: { full = false, note, pin = false } }: Asked,
): BackupRecord | undefined => {
  if (note !== undefined || pin) return undefined;
  const [, ...later] = oldestFirst.filter(({ label }) => !listed.has(label));
  return later.findLast(
    (record) =>
      record.systemIdentifier === systemIdentifier &&
      record.timeline === timeline &&
      !record.fromStandby &&
      isGood(record) &&
      (!full || record.previous === null),
  );
};
