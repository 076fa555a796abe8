import type { App } from '../core/app.ts';
import type { DrillReport } from '../core/drill.ts';
import { findBackup } from './find-backup.ts';

/** Rehearses the restore of one backup and measures it; the instance is not touched. */
export async function drillBackup(app: Pick<App, 'engines' | 'instance'>, label: string, signal: AbortSignal): Promise<DrillReport> {
  const { backup } = await findBackup(app, label, signal);
  return app.instance.copies.drill(backup, signal);
}
