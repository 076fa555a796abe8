import { readdir } from 'node:fs/promises';
import type { Backup, Backups } from '../backups/backup.ts';
import type { Config } from '../config/config.ts';
import { type JobName, schedulesOf } from '../config/schedules.ts';
import type { Control } from '../control/contract.ts';
import { isRunning, statusOf } from '../control/running.ts';
import { type ServiceStatus, type StatusBoard, serverAmong } from '../control/status.ts';
import type { Instance } from '../instance/contract.ts';
import { errnoOf } from '../kernel/errors.ts';
import { newestFirst } from '../kernel/labels.ts';
import type { Clock, Files } from '../kernel/machine.ts';
import { roomAt } from '../machine/disk-usage.ts';
import { isReachable } from '../machine/is-there.ts';
import type { RecoveryHistory } from '../recovery/history-contract.ts';
import { lostSomething, type RecoveryReport } from '../recovery/report.ts';
import { type OpenDamage, openDamage } from '../recovery/way-back.ts';
import type { KeptWal } from '../restore/kept-wal.ts';
import { readKeeping, type WalKeepingState } from '../wal/keeping.ts';
import type { WalStatus } from '../wal/status.ts';
import { type MeasuredTier, measureTier } from './measure-tier.ts';
import { type Remembered, readSchedule } from './schedule/memory.ts';

type Needs = {
  readonly config: Config;
  readonly control: Control;
  readonly board: StatusBoard;
  readonly history: RecoveryHistory;
  readonly instance: Instance;
  readonly backups: readonly Backups[];
  readonly keptWal: Pick<KeptWal, 'status'>;
  readonly clock: Clock;
  readonly files: Files;
};

/** pg_isready's four answers (its reference page, "Exit Status"). */
export type Readiness = 'accepting' | 'rejecting' | 'no-response' | 'no-attempt';

export interface StatusReport {
  readonly readiness: Readiness;
  readonly supervisor: {
    readonly running: boolean;
    readonly pid: number | null;
    readonly mode: string | null;
    readonly since: string | null;
  };
  readonly services: readonly ServiceStatus[];
  readonly instance: {
    /** The host of a server that is a connection and nothing else; null where its files are here. */
    readonly host: string | null;
    readonly dataDir: string;
    /** Something is in the data directory, or this user may not look. */
    readonly hasData: boolean;
    readonly port: number;
    readonly version: string | null;
    readonly pid: number | null;
    readonly uptimeSeconds: number | null;
    readonly sizeBytes: number | null;
    readonly connections: { readonly used: number; readonly max: number } | null;
    readonly standby: boolean | null;
  };
  readonly lastRecovery: RecoveryReport | null;
  /** The newest that lost something, where a later one did not: what is gone stays gone. */
  readonly lastLoss: RecoveryReport | null;
  /** Damage that is neither mended nor accepted; `wayBack`: what to type for it. */
  readonly damage: readonly OpenDamage[];
  readonly lastBackup: { readonly label: string; readonly createdAt: string; readonly state: string } | null;
  /** The WAL archive, by the words of the supervisor that keeps it; null where none was kept. Gaps: those that no base backup has closed yet. */
  readonly archive: { readonly state: WalKeepingState['state']; readonly problem: string | null; readonly gaps: number } | null;
  /** Measured figures beside what the tier allows; null where none is set. */
  readonly tier: MeasuredTier | null;
  /** The work that the supervisor does by itself, and when next; `nextAt` is null while none runs. */
  readonly schedule: readonly ScheduledStatus[];
  readonly disks: readonly { readonly what: string; readonly path: string; readonly totalBytes: number; readonly freeBytes: number }[];
}

export interface ScheduledStatus {
  readonly job: JobName;
  /** As cron has it, in UTC. */
  readonly expression: string;
  readonly nextAt: string | null;
  readonly ranAt: string | null;
  readonly outcome: 'running' | 'done' | 'failed' | 'interrupted' | null;
}

const LIVE_TIMEOUT_MS = 1_000;

/** Everything a person asks first, gathered at once: the published state, one session, the file systems. */
export async function reportStatus(app: Needs, signal: AbortSignal): Promise<StatusReport> {
  const { config, control, board, history, instance, clock } = app;
  const {
    postgresql: { dataDir },
    stateDir,
  } = config;
  const [running, published, recoveries, live, disks, backups, hasData, damage, keeping] = await Promise.all([
    isRunning(control, signal),
    statusOf(control, board, signal),
    history.all(),
    instance.live(LIVE_TIMEOUT_MS, signal),
    disksOf(config),
    allBackups(app, signal),
    holdsAnything(dataDir),
    openDamage({ dataDir, stateDir }, app.backups, app, signal).catch(() => []), // Of another user's data nothing is known here.
    readKeeping(config.stateDir, app.files).catch(() => undefined), // A status is told whatever cannot be read.
  ]);
  const [lastRecovery] = recoveries;
  const lastBackup = newestOf(backups);
  const postgresql = running ? serverAmong(published?.services ?? []) : undefined;
  return {
    readiness: live ? 'accepting' : postgresql?.state === 'starting' || postgresql?.state === 'stopping' ? 'rejecting' : 'no-response',
    supervisor: {
      running,
      pid: running ? (published?.pid ?? null) : null,
      mode: running ? (published?.mode ?? null) : null,
      since: running ? (published?.startedAt ?? null) : null,
    },
    services: running ? (published?.services ?? []) : [],
    instance: {
      host: config.postgresql.connectionOnly ? config.postgresql.socketDir : null,
      dataDir,
      hasData,
      port: config.postgresql.port,
      version: live?.version ?? null,
      pid: postgresql?.pid ?? null,
      uptimeSeconds: live ? Math.max(0, Math.round((clock.now().getTime() - Date.parse(live.startedAt)) / 1000)) : null,
      sizeBytes: live?.databaseSizeBytes ?? null,
      connections: live?.connections ?? null,
      standby: live?.inRecovery ?? null,
    },
    lastRecovery: lastRecovery ?? null,
    lastLoss: lastRecovery && lostSomething(lastRecovery) ? null : (recoveries.find(lostSomething) ?? null),
    damage,
    lastBackup,
    archive: keeping === undefined ? null : archiveOf(keeping, lastBackup),
    tier:
      config.tier === undefined
        ? null
        : measureTier(config, { backups, archive: await archiveNow(app, signal), nowMs: clock.now().getTime() }),
    schedule: await scheduleOf(app, running),
    disks,
  };
}

const archiveOf = (
  { state, problem, gaps }: WalKeepingState,
  lastBackup: StatusReport['lastBackup'],
): NonNullable<StatusReport['archive']> => ({
  state,
  problem: problem?.message ?? null,
  gaps: gaps.filter(({ at }) => lastBackup === null || lastBackup.state === 'damaged' || at > lastBackup.createdAt).length,
});

const holdsAnything = (dataDir: string): Promise<boolean> =>
  readdir(dataDir).then(
    (names) => names.length > 0,
    (cause: unknown) => errnoOf(cause) !== 'ENOENT',
  );

const allBackups = async ({ backups }: Needs, signal: AbortSignal): Promise<readonly Backup[]> =>
  (await Promise.all(backups.map(({ repository }) => repository.list(signal).catch(() => [])))).flat().sort(newestFirst);

function newestOf([newest]: readonly Backup[]): StatusReport['lastBackup'] {
  return newest ? { label: newest.label, createdAt: newest.createdAt, state: newest.state } : null;
}

const archiveNow = ({ keptWal }: Needs, signal: AbortSignal): Promise<WalStatus | null> => keptWal.status(signal).catch(() => null);

async function scheduleOf({ config, files }: Needs, running: boolean): Promise<StatusReport['schedule']> {
  const known = await readSchedule(config.stateDir, files).catch((): Remembered => ({})); // A status is told whatever cannot be read.
  const expressions = Object.entries(schedulesOf(config)) as [JobName, string | null][];
  return expressions.flatMap(([job, expression]) => {
    if (expression === null) return [];
    const { nextAt = null, ranAt = null, outcome = null } = known[job] ?? {};
    return [{ job, expression, nextAt: running && known[job]?.expression === expression ? nextAt : null, ranAt, outcome }];
  });
}

async function disksOf({ postgresql, backupDir, logDir }: Needs['config']): Promise<StatusReport['disks']> {
  const places = [
    ['data', postgresql.dataDir],
    ['backups', backupDir],
    ['logs', logDir],
  ] as const;
  const rows = await Promise.all(
    places.map(async ([what, path]) => {
      const room = (await isReachable(path)) ? await roomAt(path).catch(() => undefined) : undefined; // Not that of the folder above it.
      return room && { what, path, totalBytes: room.sizeBytes, freeBytes: room.freeBytes };
    }),
  );
  return rows.filter((row) => row !== undefined);
}
