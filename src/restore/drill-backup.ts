import type { BackupEngine } from '../backups/backup.ts';
import type { DrillReport } from '../backups/drill.ts';
import { findBackup } from '../backups/find-backup.ts';
import type { Copies } from './copies-contract.ts';

/** Rehearses the restore of one backup and measures it; the instance is not touched. */
export async function drillBackup(
  app: { readonly engines: readonly BackupEngine[]; readonly copies: Copies },
  label: string,
  signal: AbortSignal,
): Promise<DrillReport> {
  const { backup } = await findBackup(app, label, signal);
  return app.copies.drill(backup, signal);
}
