import { DbkitError } from '../kernel/errors.ts';
import type { BackupEngine } from './backup.ts';
import { findBackup } from './find-backup.ts';
import { type ListedBackup, listed } from './list-backups.ts';

/** A pinned backup never expires, until the pin is removed. */
export async function pinBackup(
  app: { readonly engines: readonly BackupEngine[] },
  label: string,
  pinned: boolean,
  signal: AbortSignal,
): Promise<{ readonly backup: ListedBackup }> {
  const { backup, engine } = await findBackup(app, label, signal);
  if (!engine.annotate) throw new DbkitError('usage.invalid', `backups of the engine ${engine.name} cannot be pinned`);
  return { backup: listed(await engine.annotate(backup, { pinned }, signal), engine.name) };
}
