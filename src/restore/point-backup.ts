import type { Backups, BaseBackups, FoundBackup } from '../backups/backup.ts';
import type { PointPlan, PointRequest } from '../backups/base/points/point.ts';
import type { ServingReport } from '../backups/base/points/serving.ts';
import { findBackup, requireBase } from '../backups/find-backup.ts';
import { DbkitError } from '../kernel/errors.ts';

/** Those that can be brought forward to a moment. Throws `backup.missing` where the configuration has none. */
export function requireBaseBackups({ backups }: { readonly backups: readonly Backups[] }): BaseBackups {
  const base = backups.find((one) => one.kind === 'physical');
  if (!base) throw new DbkitError('backup.missing', 'there is no base backup, and only one can be brought forward to a moment');
  return base;
}

/** The base backup that serves a moment, and why each of the others does not. Rejects with `backup.missing` where there is none. */
export async function servingBackups(
  app: { readonly backups: readonly Backups[] },
  point: PointRequest,
  signal: AbortSignal,
): Promise<ServingReport> {
  return requireBaseBackups(app).serving(point, signal);
}

/** The base backup that serves a moment, and the way from there; `label` other than 'latest': from that one. Rejects with `recovery.refused`. */
export async function pointBackup(
  app: { readonly backups: readonly Backups[] },
  { point, label }: { readonly point: PointRequest; readonly label: string },
  signal: AbortSignal,
): Promise<{ readonly plan: PointPlan; readonly found: FoundBackup<BaseBackups> }> {
  const named = label === 'latest' ? undefined : requireBase(await findBackup(app, label, signal));
  const of = named?.of ?? requireBaseBackups(app);
  const plan = await of.findPoint(point, named?.backup.label, signal);
  return { plan, found: requireBase(await findBackup(app, plan.label, signal)) };
}
