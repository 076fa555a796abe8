import { type Backup, isGood } from '../backups/backup.ts';
import { factsOf, type HealthReport } from '../health/health.ts';
import { exposition, type Gauge, ofHealth, one } from '../health/metrics.ts';
import { howMuch } from '../recovery/losses.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import type { Picture, Rehearsed } from './overview.ts';

/** The facts of a monitor: the last check, itself, backups and recoveries. */
export const pictureMetrics = (picture: Picture): Promise<string> =>
  exposition((gauge) => {
    const { check, backups, recoveries, drills } = picture;
    gauge('dbkit_build_info', 'Always 1; the version of dbkit is a label.', [[{ version: picture.version }, 1]]);
    if (check) {
      ofHealth(gauge, check.health);
      ofProbes(gauge, check.health);
      const { failures, recoveries: since, gaveUp } = check.state;
      gauge('dbkit_monitor_failures', 'Checks in a row in which the server was down, hung or damaged.', one(failures));
      gauge('dbkit_monitor_recoveries', 'Recoveries since the server was last well for a whole cooldown.', one(since));
      gauge('dbkit_monitor_gave_up', '1 when a person must look before anything is recovered again.', one(gaveUp ? 1 : 0));
    }
    ofBackups(gauge, backups);
    ofRecoveries(gauge, recoveries);
    ofDrills(gauge, drills);
  });

/** The last trial of each, those on the real cluster with a label. */
function ofDrills(gauge: Gauge, drills: readonly Rehearsed[]): void {
  const last = new Map<string, Rehearsed>();
  const labels = ({ drill, here }: Rehearsed) => ({ drill, ...(here ? { here: 'true' } : {}) });
  for (const one of drills) {
    const key = JSON.stringify(labels(one));
    if (!last.has(key)) last.set(key, one);
  }
  if (last.size === 0) return;
  const each = (name: string, help: string, figure: (one: Rehearsed) => number): void =>
    gauge(
      name,
      help,
      [...last.values()].map((one) => [labels(one), figure(one)]),
    );
  each('dbkit_ha_drill_timestamp_seconds', 'When the disaster was rehearsed last, in Unix time.', ({ at }) => Date.parse(at) / 1000);
  each('dbkit_ha_drill_passed', '1 when the last rehearsal met every target.', ({ passed }) => (passed ? 1 : 0));
  each('dbkit_ha_drill_rto_seconds', 'The longest time without an acknowledged commit in it.', ({ rtoSeconds }) =>
    Math.max(0, ...Object.values(rtoSeconds)),
  );
  each('dbkit_ha_drill_lost_rows', 'Acknowledged rows that were gone after it.', ({ lostRows }) => lostRows);
}

function ofRecoveries(gauge: Gauge, recoveries: readonly RecoveryReport[]): void {
  const [last] = recoveries;
  const kinds = new Map<string, number>();
  for (const { decision } of recoveries) kinds.set(decision, (kinds.get(decision) ?? 0) + 1);
  gauge(
    'dbkit_recoveries_remembered',
    'Recoveries in the history, which keeps the newest hundred.',
    [...kinds].map(([decision, count]) => [{ decision }, count]),
  );
  if (last) {
    gauge('dbkit_last_recovery_timestamp_seconds', 'When the last recovery was decided, in Unix time.', one(Date.parse(last.at) / 1000));
    const much = howMuch(last.losses);
    gauge('dbkit_last_recovery_lost', '1 when the last recovery lost something.', one(much === 'something' ? 1 : 0));
    gauge(
      'dbkit_last_recovery_loss_unknown',
      '1 when nothing proves that the last recovery lost nothing.',
      one(much === 'unknown' ? 1 : 0),
    );
    if (last.readyAt)
      gauge(
        'dbkit_last_recovery_duration_seconds',
        'From the first look at the data until the server answered.',
        one((Date.parse(last.readyAt) - Date.parse(last.at) + last.durationMs) / 1000),
      );
  }
}

/** Figures that probes have measured, where they have. */
function ofProbes(gauge: Gauge, { probes }: HealthReport): void {
  const figure = (name: string, help: string, value: number | undefined): void => {
    if (value !== undefined) gauge(name, help, one(value));
  };
  const connections = factsOf(probes, 'connections');
  const wal = factsOf(probes, 'wal');
  figure('dbkit_query_duration_seconds', 'How long a query took.', factsOf(probes, 'latency')?.seconds);
  figure('dbkit_commit_duration_seconds', 'How long a commit took.', factsOf(probes, 'write')?.seconds);
  figure('dbkit_connections_used', 'Connections in use.', connections?.used);
  figure('dbkit_connections_usable', 'Connections that there may be.', connections?.usable);
  figure('dbkit_wal_bytes', 'Size of pg_wal.', wal?.walBytes);
  figure('dbkit_wal_archive_failures', 'Failures of the archiver since its figures were reset.', wal?.archiveFailures);
  figure('dbkit_wal_archive_waiting', 'Finished WAL segments that wait to be archived.', wal?.archiveWaiting);
  const archive = factsOf(probes, 'wal-archive');
  figure('dbkit_wal_kept', '1 while the WAL is kept in the repository as it is written.', archive && (archive.state === 'keeping' ? 1 : 0));
  figure('dbkit_wal_kept_lag_bytes', 'WAL that is durable and not in the repository yet.', archive?.lagBytes ?? undefined);
  figure('dbkit_wal_kept_lag_seconds', 'How long that has been so.', archive?.lagSeconds ?? undefined);
  ofCopies(gauge, factsOf(probes, 'copies') ?? []);
  const restored = factsOf(probes, 'backups');
  figure('dbkit_target_rpo_seconds', 'The most that the tier may lose.', archive?.rpoSeconds ?? undefined);
  figure('dbkit_target_rto_seconds', 'The longest that a restore may take by the tier.', restored?.rtoSeconds ?? undefined);
  figure('dbkit_restore_duration_seconds', 'How long the restore took that was rehearsed last.', restored?.restoreSeconds ?? undefined);
  const slots = factsOf(probes, 'slots');
  if (slots && slots.length > 0)
    gauge(
      'dbkit_slot_retained_bytes',
      'WAL that a replication slot keeps from being removed.',
      slots.map(({ name, retainedBytes }) => [{ slot: name }, retainedBytes]),
    );
  const rows = factsOf(probes, 'disk');
  if (!rows) return;
  gauge(
    'dbkit_disk_used_bytes',
    'Used bytes of a volume.',
    rows.map(({ what, usedBytes }) => [{ volume: what }, usedBytes]),
  );
  gauge(
    'dbkit_disk_free_bytes',
    'Free bytes of a volume.',
    rows.map(({ what, freeBytes }) => [{ volume: what }, freeBytes]),
  );
}

function ofCopies(gauge: Gauge, copies: NonNullable<ReturnType<typeof factsOf<'copies'>>>): void {
  const each = (name: string, help: string, figure: (copy: (typeof copies)[number]) => number | null | undefined): void => {
    const rows = copies.flatMap((copy) => {
      const value = figure(copy);
      return value == null ? [] : [[{ copy: copy.name }, value] as const];
    });
    if (rows.length > 0) gauge(name, help, rows);
  };
  each('dbkit_copy_wal_lag_bytes', 'WAL that is in the repository and not in this copy yet.', ({ walLagBytes }) => walLagBytes);
  each('dbkit_copy_wal_lag_seconds', 'How long that has been so.', ({ walLagSeconds }) => walLagSeconds);
  each('dbkit_copy_age_seconds', 'Age of the newest backup that is verified in this copy.', ({ ageSeconds }) => ageSeconds);
}

function ofBackups(gauge: Gauge, backups: readonly Backup[]): void {
  const states = new Map<string, number>();
  for (const { kind, state } of backups) states.set(`${kind} ${state}`, (states.get(`${kind} ${state}`) ?? 0) + 1);
  gauge(
    'dbkit_backups',
    'Backups in the repository.',
    [...states].map(([key, count]) => {
      const [kind, state] = key.split(' ') as [string, string];
      return [{ kind, state }, count];
    }),
  );
  const good = backups.find(isGood);
  const newest = (moment: (backup: Backup) => string | null | undefined): number | undefined => {
    const moments = backups.flatMap((backup) => moment(backup) ?? []).map((at) => Date.parse(at));
    return moments.length === 0 ? undefined : Math.max(...moments) / 1000;
  };
  if (good) {
    gauge(
      'dbkit_backup_last_good_timestamp_seconds',
      'When the newest good backup was taken, in Unix time.',
      one(Date.parse(good.createdAt) / 1000),
    );
    gauge('dbkit_backup_last_good_bytes', 'Size of the newest good backup.', one(good.sizeBytes));
  }
  const [verified, proven] = [newest(({ verifiedAt }) => verifiedAt), newest(({ provenAt }) => provenAt)];
  if (verified !== undefined)
    gauge('dbkit_backup_last_verified_timestamp_seconds', 'When a backup was last read again, in Unix time.', one(verified));
  if (proven !== undefined)
    gauge('dbkit_backup_last_proven_timestamp_seconds', 'When a backup was last restored as a proof, in Unix time.', one(proven));
}
