import type { Backup } from '../../backups/backup.ts';
import { createBackups } from '../../backups/backups.ts';
import type { PointPlan, PointRequest } from '../../backups/base/points/point.ts';
import { findBackup, requireBase } from '../../backups/find-backup.ts';
import type { Config } from '../../config/config.ts';
import { serverOwner } from '../../instance/owner.ts';
import type { System } from '../../kernel/machine.ts';
import { shellWord } from '../../kernel/shell-word.ts';
import { pointBackup } from '../../restore/point-backup.ts';

/** The state that a whole cluster is to come back to: as a backup holds it, or at a moment behind it. */
export interface WholePlan {
  readonly label: string;
  readonly createdAt: string;
  readonly sizeBytes: number;
  readonly systemIdentifier: string | null;
  /** null: as the backup holds it. */
  readonly point: PointPlan | null;
}

export interface WholeWish {
  /** undefined: the backup that serves the moment best. */
  readonly label: string | undefined;
  readonly point: PointRequest | undefined;
  /** A data directory whose own WAL counts, too; undefined: only what is in the repository. */
  readonly oldData: string | undefined;
}

/** Rejects with `backup.missing`, and `recovery.refused` with the nearest moments where none leads there. */
export async function planWhole(
  { config, system }: { readonly config: Config; readonly system: System },
  { label, point, oldData }: WholeWish,
  signal: AbortSignal,
): Promise<WholePlan> {
  const owner = await serverOwner(config.postgresql, system);
  const app = { backups: createBackups({ config, system, dataDir: oldData ?? config.postgresql.dataDir, owner }) };
  if (point === undefined) return planOf(requireBase(await findBackup(app, label ?? 'latest', signal)).backup, null);
  const { plan, found } = await pointBackup(app, { point, label: label ?? 'latest' }, signal);
  return planOf(found.backup, plan);
}

const planOf = ({ label, createdAt, sizeBytes, systemIdentifier }: Backup, point: PointPlan | null): WholePlan => ({
  label,
  createdAt,
  sizeBytes,
  systemIdentifier: systemIdentifier ?? null,
  point,
});

/** Patroni's `recovery_conf` for it: the WAL lies in pg_wal by then, and no more than that is replayed ("Recovery Target"). Pure. */
export function recoveryConf({ point }: Pick<WholePlan, 'point'>): Readonly<Record<string, string>> {
  const common = { restore_command: 'false', recovery_target_action: 'promote' };
  if (point === null) return { ...common, recovery_target_timeline: 'current' }; // Not 'immediate': a standby's backup may end where it is consistent, with no record to stop before.
  const until = point.stopBefore === null ? {} : { recovery_target_lsn: point.stopBefore, recovery_target_inclusive: 'off' };
  return { ...common, recovery_target_timeline: String(point.timeline), ...until };
}

/** The words behind `dbkit ha bootstrap` for it. Pure. */
export function bootstrapWords({ label, point }: Pick<WholePlan, 'label' | 'point'>, oldData: string | null): readonly string[] {
  const until = point === null ? [] : point.stopBefore === null ? ['--to', 'latest'] : ['--to-lsn', point.stopBefore, '--exclusive'];
  return [
    ...['--label', label, ...until],
    ...(point === null ? [] : ['--timeline', String(point.timeline)]),
    ...(oldData === null ? [] : ['--old-data', oldData]),
  ];
}

/** A whole that Patroni is to make: how it calls dbkit, and what all members shared (`/config`; null: as `before` has it). */
export interface WholeBootstrap {
  readonly call: string;
  readonly plan: Pick<WholePlan, 'label' | 'point'>;
  readonly oldData: string | null;
  readonly settings: Readonly<Record<string, unknown>> | null;
}

/**
 * `bootstrap` of patroni.yml with dbkit as its method, in place of what was there `before` (Patroni, "Replica imaging and bootstrap"). It counts only
 * while the store knows no cluster. Pure.
 */
export function bootstrapSection(
  before: { readonly dcs?: unknown } | undefined,
  { call, plan, oldData, settings }: WholeBootstrap,
): object {
  const words = bootstrapWords(plan, oldData).map(shellWord);
  const dbkit = {
    command: `${call} ha bootstrap ${words.join(' ')}`,
    keep_existing_recovery_conf: false,
    recovery_conf: recoveryConf(plan),
  };
  return { ...before, dcs: settings ?? before?.dcs ?? {}, method: 'dbkit', dbkit };
}
