import type { App } from '../core/app.ts';
import type { Backup } from '../core/backups.ts';
import { DbkitError } from '../core/errors.ts';

/** The backup, or why none was needed. */
export type BackupReport = { readonly backup: Backup } | { readonly backup: null; readonly because: string };

/** Takes one base backup with the first engine; with `ifChanged` only when the instance was written to since the last one. */
export async function takeBackup(
  { engines }: Pick<App, 'engines'>,
  { ifChanged }: { ifChanged: boolean },
  signal: AbortSignal,
): Promise<BackupReport> {
  const engine = engines[0];
  if (!engine) throw new DbkitError('usage.invalid', 'no service here can be backed up');
  const change = ifChanged ? await engine.changedSinceLast?.(signal) : undefined;
  if (change && !change.changed) return { backup: null, because: change.because };
  return { backup: await engine.backup(signal) };
}
