import { newestFirst } from '../kernel/labels.ts';
import type { Backup, BackupEngine } from './backup.ts';

/** One row of the list: fields are only ever added. */
export interface ListedBackup extends Backup {
  readonly engine: string;
  readonly newBytes: number;
  readonly note: string | null;
  readonly pinned: boolean;
  readonly verifiedAt: string | null;
  readonly provenAt: string | null;
}

/** A backup with every field of a list, whatever its engine knows. */
export const listed = (backup: Backup, engine: string): ListedBackup => ({
  ...backup,
  engine,
  newBytes: backup.newBytes ?? backup.sizeBytes,
  note: backup.note ?? null,
  pinned: backup.pinned ?? false,
  verifiedAt: backup.verifiedAt ?? null,
  provenAt: backup.provenAt ?? null,
});

/** Every backup of every engine, newest first. */
export async function listBackups(
  { engines }: { readonly engines: readonly BackupEngine[] },
  signal: AbortSignal,
): Promise<{ readonly backups: readonly ListedBackup[] }> {
  const lists = await Promise.all(engines.map(async (engine) => (await engine.list(signal)).map((backup) => listed(backup, engine.name))));
  return { backups: lists.flat().sort(newestFirst) };
}
