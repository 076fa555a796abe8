import type { Backups } from '../backups/backup.ts';
import type { ReachableMoments } from '../backups/base/points/reachable.ts';
import { DbkitError } from '../kernel/errors.ts';

/** The moments that can be brought back, read from base backups and WAL; `timeline`: only that one. */
export async function readTimeline(
  app: { readonly backups: readonly Backups[] },
  timeline: number | undefined,
  signal: AbortSignal,
): Promise<ReachableMoments> {
  const base = app.backups.find((backups) => backups.kind === 'physical');
  if (!base) throw new DbkitError('backup.missing', 'there is no base backup, and only one can be brought forward to a moment');
  return base.reachable(timeline, signal);
}
