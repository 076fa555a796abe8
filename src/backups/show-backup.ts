import type { BackupDetails, Backups } from './backup.ts';
import { findBackup } from './find-backup.ts';
import { type ListedBackup, listed } from './list-backups.ts';

export interface ShownBackup {
  readonly backup: ListedBackup;
  /** Details that its engine knows beyond the list. */
  readonly details: BackupDetails;
  /** Tells if the next cleanup keeps it, with the reason; null where retention does not apply. */
  readonly retention: { readonly keep: boolean; readonly because: string } | null;
}

/** Everything about one backup. */
export async function showBackup(app: { readonly backups: readonly Backups[] }, label: string, signal: AbortSignal): Promise<ShownBackup> {
  const { backup, of } = await findBackup(app, label, signal);
  const decisions = await of.repository.expire({ dryRun: true }, signal);
  const decision = decisions.find((candidate) => candidate.label === backup.label);
  return {
    backup: listed(backup, of.name),
    details: await of.repository.describe(backup, signal),
    retention: decision ? { keep: decision.keep, because: decision.because } : null,
  };
}
