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

/** Which rows of a list are wanted. */
export interface Narrow {
  /** Made before this time, in milliseconds since 1970. */
  readonly beforeMs?: number | undefined;
  /** At most so many, the first ones. */
  readonly limit?: number | undefined;
}

/** Pure. */
export const narrowed = <T extends { readonly createdAt: string }>(rows: readonly T[], { beforeMs, limit }: Narrow): T[] =>
  rows.filter(({ createdAt }) => beforeMs === undefined || Date.parse(createdAt) < beforeMs).slice(0, limit);

/** Every backup of every kind, newest first, or those that are asked for. */
export async function listBackups(
  app: { readonly backups: readonly Backups[] },
  signal: AbortSignal,
  narrow: Narrow = {},
): Promise<{ readonly backups: readonly ListedBackup[] }> {
  return {
    backups: narrowed(
      (await everyBackup(app, signal)).map(({ backup, of }) => listed(backup, of.name)),
      narrow,
    ),
  };
}
