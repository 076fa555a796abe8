import type { BackupEngine } from '../backups/backup.ts';
import { findBackup } from '../backups/find-backup.ts';
import type { Copies, CopyReport } from './copies-contract.ts';

/** Restores a backup into another directory; the instance is not touched. */
export async function copyBackup(
  app: { readonly engines: readonly BackupEngine[]; readonly copies: Copies },
  {
    label,
    ...target
  }: { readonly label: string; readonly directory: string; readonly port: number | undefined; readonly bootTest: boolean | undefined },
  signal: AbortSignal,
): Promise<CopyReport> {
  const { backup } = await findBackup(app, label, signal);
  return app.copies.copyTo(backup, target, signal);
}
