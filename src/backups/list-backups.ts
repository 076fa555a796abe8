import type { Backup, Backups } from './backup.ts';
import { everyBackup } from './find-backup.ts';

/** One row of the list: fields are only ever added. */
export interface ListedBackup extends Backup {
  readonly engine: string;
  readonly newBytes: number;
  readonly note: string | null;
  readonly pinned: boolean;
  readonly verifiedAt: string | null;
  readonly provenAt: string | null;
}

/** A backup with every field of a list, whatever its kind knows. */
export const listed = (backup: Backup, engine: string): ListedBackup => ({
  ...backup,
  engine,
  newBytes: backup.newBytes ?? backup.sizeBytes,
  note: backup.note ?? null,
  pinned: backup.pinned ?? false,
  verifiedAt: backup.verifiedAt ?? null,
  provenAt: backup.provenAt ?? null,
});

/** Every backup of every kind, newest first. */
export async function listBackups(
  app: { readonly backups: readonly Backups[] },
  signal: AbortSignal,
): Promise<{ readonly backups: readonly ListedBackup[] }> {
  return { backups: (await everyBackup(app, signal)).map(({ backup, of }) => listed(backup, of.name)) };
}
