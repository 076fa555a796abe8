import { type FoundBackup, isGood } from '../backups/backup.ts';
import type { ReachableEvent, ReachableMoments } from '../backups/base/points/reachable.ts';
import { readName } from '../formats/identifiers.ts';
import { factsOf, type HealthReport } from '../health/health.ts';
import type { InspectionReport } from '../inspection/report.ts';
import { counted } from '../kernel/units.ts';
import type { StatusReport } from '../supervisor/report-status.ts';
import type { ServerPart } from './facts.ts';

/** Everything that was heard of this machine's server; undefined: it did not come in time, or could not be had. */
export interface HeardServer {
  readonly status: StatusReport | undefined;
  readonly health: HealthReport | undefined;
  readonly inspection: InspectionReport | undefined;
  readonly backups: readonly FoundBackup[];
  readonly moments: ReachableMoments | undefined;
  readonly dataDir: string;
  readonly port: number;
  /** A volume that is fuller counts as full; in percent. */
  readonly fullPercent: number;
}

/** The facts that runbooks ask for. Pure. */
export function serverPart({ status, health, inspection, backups, moments, dataDir, port, fullPercent }: HeardServer): ServerPart {
  const good = backups.find(({ backup }) => isGood(backup))?.backup;
  const probes = health?.probes ?? [];
  const wal = factsOf(probes, 'wal');
  return {
    dataDir,
    port,
    answers: status?.readiness === 'accepting',
    isHeld: status?.services.some(({ state }) => state === 'held') ?? false,
    isStandby: status?.instance.standby ?? false,
    dataBytes: inspection && inspection.sizeBytes > 0 ? inspection.sizeBytes : (status?.instance.sizeBytes ?? null),
    ...damageOf(health, inspection),
    troubles: probes.filter(({ status: of }) => of === 'critical').map(({ name, summary }) => `${name}: ${summary}`),
    backups: backups.length,
    goodBackup: good?.label ?? null,
    goodBackupAt: good?.createdAt ?? null,
    provenBackup: backups.find(({ backup }) => backup.provenAt)?.backup.label ?? null,
    ...momentsOf(moments),
    ...volumesOf(status, health, fullPercent),
    ...slotOf(health),
    archiveFailures: wal?.archiveFailures ?? 0,
    walBytes: wal?.walBytes ?? null,
    lastRecoveryAt: status?.lastRecovery?.at ?? null,
  };
}

function damageOf(health: HealthReport | undefined, inspection: InspectionReport | undefined): Pick<ServerPart, 'damage' | 'damagedTable'> {
  const known = factsOf(health?.probes ?? [], 'damage')?.damaged ?? [];
  const found = (inspection?.findings ?? []).filter(({ severity }) => severity === 'certain');
  const failing = (factsOf(health?.probes ?? [], 'checksums') ?? []).filter(({ failures }) => failures > 0);
  const words = [
    ...known.map(({ code, path, relation }) => `${code} in ${path}${relation === undefined ? '' : ` (${relation})`}`),
    ...found.map(({ code, path }) => `${code} in ${path}`),
    ...failing.map(({ database, failures }) => `${counted(failures, 'page')} with a wrong checksum in ${database}`),
  ];
  return { damage: [...new Set(words)], damagedTable: known.find(({ relation }) => relation !== undefined)?.relation ?? null };
}

/** `--before` understands these (backups/base/points/statement.ts). */
const statements: Partial<Record<ReachableEvent['kind'], (event: ReachableEvent) => string>> = {
  drop: ({ names }) => `drop table ${names[0]}`,
  truncate: ({ names }) => `truncate ${names[0]}`,
  delete: ({ names }) => `delete from ${names[0]}`,
  'drop-database': ({ names }) => `drop database ${names[0]}`,
};

function momentsOf(
  moments: ReachableMoments | undefined,
): Pick<ServerPart, 'firstMomentAt' | 'lastMomentAt' | 'event' | 'eventAt' | 'statement' | 'eventTable'> {
  const current = moments?.timelines.find((one) => one.current);
  const event = (current?.events ?? [])
    .filter(({ kind, names: [first] }) => kind in statements && first !== undefined && readName(first))
    .at(-1);
  const statement = event === undefined ? null : statements[event.kind]!(event);
  return {
    firstMomentAt: current?.spans[0]?.from.at ?? null,
    lastMomentAt: moments?.latest?.at ?? null,
    event: event === undefined ? null : `${statement}${event.database === null ? '' : ` in ${event.database}`}`,
    eventAt: event?.at ?? null,
    statement,
    eventTable: event === undefined || event.kind === 'drop-database' ? null : event.names[0]!,
  };
}

type Volumes = Pick<
  ServerPart,
  'volume' | 'volumePath' | 'volumePercent' | 'freeBytes' | 'isVolumeFull' | 'fullInSeconds' | 'dataFreeBytes'
>;

function volumesOf(status: StatusReport | undefined, health: HealthReport | undefined, fullPercent: number): Volumes {
  const measured = factsOf(health?.probes ?? [], 'disk') ?? [];
  const rows =
    measured.length > 0
      ? measured.map(({ what, path, percent, freeBytes, secondsUntilFull }) => ({ what, path, percent, freeBytes, secondsUntilFull }))
      : (status?.disks ?? []).map(({ what, path, totalBytes, freeBytes }) => ({
          what,
          path,
          percent: Math.round(100 * (1 - freeBytes / totalBytes)),
          freeBytes,
          secondsUntilFull: null,
        }));
  const fullest = [...rows].sort((a, b) => b.percent - a.percent)[0];
  return {
    volume: fullest?.what ?? null,
    volumePath: fullest?.path ?? null,
    volumePercent: fullest === undefined ? null : Math.round(fullest.percent),
    freeBytes: fullest?.freeBytes ?? null,
    isVolumeFull: fullest !== undefined && fullest.percent >= fullPercent,
    fullInSeconds: fullest?.secondsUntilFull ?? null,
    dataFreeBytes: (status?.disks ?? []).find(({ what }) => what === 'data')?.freeBytes ?? null,
  };
}

function slotOf(health: HealthReport | undefined): Pick<ServerPart, 'slot' | 'slotBytes'> {
  const idle = (factsOf(health?.probes ?? [], 'slots') ?? []).filter(({ active }) => !active);
  const largest = [...idle].sort((a, b) => b.retainedBytes - a.retainedBytes)[0];
  return { slot: largest?.name ?? null, slotBytes: largest?.retainedBytes ?? null };
}
