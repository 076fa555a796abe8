import type { FindBaseline } from '../inspection/prove.ts';
import type { ReadReached } from '../inspection/reached.ts';
import { newestFirst } from '../kernel/labels.ts';
import type { System } from '../kernel/machine.ts';
import { readReached } from '../wal/reached.ts';
import { type Backup, type Backups, isGood } from './backup.ts';

interface Repository {
  readonly backupDir: string;
  readonly system: Pick<System, 'files'>;
}

/** Those whom inspection may ask beside the directory itself. */
export const sources = (
  backups: readonly Backups[],
  { backupDir, system }: Repository,
): { readonly readReached: ReadReached; readonly findBaseline: FindBaseline } => ({
  readReached: readReached(backupDir, system.files),
  findBaseline: findBaseline(backups),
});

/** The newest good base backup of the cluster, as something to hold pages against. A repository that cannot be read proves nothing, and stops nothing. */
export const findBaseline =
  (backups: readonly Backups[]): FindBaseline =>
  async (systemIdentifier, signal) => {
    for (const of of backups) {
      if (of.kind !== 'physical') continue;
      const newest = await newestGoodBackup([of], systemIdentifier, signal);
      const found = newest && (await of.baseline(newest, signal).catch(() => undefined));
      signal.throwIfAborted();
      if (found) return found;
    }
    return undefined;
  };

/** The newest base backup of the cluster that was taken of data with no known damage. */
export async function newestGoodBackup(
  backups: readonly Backups[],
  systemIdentifier: string,
  signal: AbortSignal,
): Promise<Backup | undefined> {
  const base = backups.filter(({ kind }) => kind === 'physical');
  const lists = await Promise.all(base.map(({ repository }) => repository.list(signal).catch(() => [])));
  signal.throwIfAborted();
  return lists
    .flat()
    .filter((backup) => isGood(backup) && backup.systemIdentifier === systemIdentifier)
    .sort(newestFirst)[0];
}
