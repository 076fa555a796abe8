import type { Backups } from './backup.ts';
import { findBackup } from './find-backup.ts';
import { type ListedBackup, listed } from './list-backups.ts';

/** A pinned backup never expires, until the pin is removed. */
export async function pinBackup(
  app: { readonly backups: readonly Backups[] },
  label: string,
  pinned: boolean,
  signal: AbortSignal,
): Promise<{ readonly backup: ListedBackup }> {
  const { backup, of } = await findBackup(app, label, signal);
  return { backup: listed(await of.repository.annotate(backup, { pinned }, signal), of.name) };
}
