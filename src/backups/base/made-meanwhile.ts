import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unlessMissing } from '../../kernel/errors.ts';
import { parseLabel } from '../../kernel/labels.ts';
import { type BackupOptions, isGood } from '../backup.ts';
import type { Cluster } from './cluster.ts';
import type { BackupRecord } from './record.ts';

interface Asked {
  readonly cluster: Pick<Cluster, 'systemIdentifier' | 'timeline'>;
  /** The newest label that there was when the backup was asked for, while somebody held the lock; '' where there was none. */
  readonly newest: string;
  readonly options: Pick<BackupOptions, 'full' | 'note' | 'pin'>;
}

/**
 * The backup that somebody else took while this one waited for its turn, and that began after it was asked for: it holds all that this one
 * would. Without it a crowd of requests is a row of equal backups, and retention removes the older ones to make room. No clock tells that it
 * began later, as clocks are set back: one backup is taken at a time, so only the first that appears may have been under way. Whoever wants a
 * note or a pin gets his own. `oldestFirst`: the records in the repository; labels only rise, but for those of backups that are brought from a copy. Pure.
 */
export const madeMeanwhile = (
  oldestFirst: readonly BackupRecord[],
  { cluster: { systemIdentifier, timeline }, newest, options: { full = false, note, pin = false } }: Asked,
): BackupRecord | undefined => {
  if (note !== undefined || pin) return undefined;
  const [, ...later] = oldestFirst.filter(({ label }) => label > newest);
  return later.findLast(
    (record) =>
      record.systemIdentifier === systemIdentifier &&
      record.timeline === timeline &&
      !record.fromStandby &&
      isGood(record) &&
      (!full || record.previous === null),
  );
};

/** By name, and whether it can be read or not: also of a backup that is being made now. */
export async function newestLabelIn(backupDir: string): Promise<string> {
  const namesOf = async (folder: string): Promise<readonly string[]> => (await readdir(folder).catch(unlessMissing)) ?? [];
  const names = await Promise.all([namesOf(backupDir), namesOf(join(backupDir, '.partial'))]);
  return names.flat().reduce((newest, name) => (parseLabel(name)?.kind === 'data' && name > newest ? name : newest), '');
}
