import type { App } from '../core/app.ts';
import type { CopyReport } from '../core/copies.ts';
import { findBackup } from './find-backup.ts';

/** Restores a backup into another directory; the instance is not touched. */
export async function copyBackup(
  app: Pick<App, 'engines' | 'instance'>,
  {
    label,
    ...target
  }: { readonly label: string; readonly directory: string; readonly port: number | undefined; readonly bootTest: boolean | undefined },
  signal: AbortSignal,
): Promise<CopyReport> {
  const { backup } = await findBackup(app, label, signal);
  return app.instance.copies.copyTo(backup, target, signal);
}
