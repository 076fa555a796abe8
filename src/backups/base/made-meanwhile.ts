import { type BackupOptions, isGood } from '../backup.ts';
import type { BackupRecord } from './record.ts';

interface Asked {
  readonly systemIdentifier: string;
  /** When the backup was asked for, in nanoseconds since 1970. */
  readonly askedNs: bigint;
  readonly options: Pick<BackupOptions, 'full' | 'note' | 'pin'>;
}

/**
 * The backup that somebody else took while this one waited for its turn, and that began after it was asked for: it holds all that this one
 * would. Without it a crowd of requests is a row of equal backups, and retention removes the older ones to make room. One with a note or a pin
 * is somebody's own. `oldestFirst`: the records in the repository. Pure.
 */
export const madeMeanwhile = (
  oldestFirst: readonly BackupRecord[],
  { systemIdentifier, askedNs, options: { full = false, note, pin = false } }: Asked,
): BackupRecord | undefined =>
  note !== undefined || pin
    ? undefined
    : oldestFirst.findLast(
        (record) =>
          record.systemIdentifier === systemIdentifier &&
          isGood(record) &&
          BigInt(record.copyBeganNs) > askedNs &&
          (!full || record.previous === null),
      );
