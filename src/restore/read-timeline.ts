import type { Backups } from '../backups/backup.ts';
import type { ReachableMoments } from '../backups/base/points/reachable.ts';
import { requireBaseBackups } from './point-backup.ts';

/** The moments that can be brought back, read from base backups and WAL; `timeline`: only that one. */
export async function readTimeline(
  app: { readonly backups: readonly Backups[] },
  timeline: number | undefined,
  signal: AbortSignal,
): Promise<ReachableMoments> {
  return requireBaseBackups(app).reachable(timeline, signal);
}
