import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Alerter } from '../../alerts/contract.ts';
import { unreadSecrets } from '../../alerts/secrets.ts';
import { isGood } from '../../backups/backup.ts';
import { everyBackup } from '../../backups/find-backup.ts';
import type { Severity } from '../../cluster/finding.ts';
import { checkInTurn } from '../../health/check.ts';
import type { ProbeReport } from '../../health/health.ts';
import { readControl, versionFile } from '../../inspection/state.ts';
import { isAbort } from '../../kernel/errors.ts';
import type { Files } from '../../kernel/machine.ts';
import { fill } from '../../kernel/reasons.ts';
import { mayChangeIds } from '../../machine/privileges.ts';
import type { MonitorMemory } from '../../monitor/decide.ts';
import { reportMonitor } from '../../monitor/pause.ts';
import { readKeeping } from '../../wal/keeping.ts';
import { reportStatus } from '../report-status.ts';
import { supportedDays, type TonightFacts, tonight } from './tonight.ts';

/** Something that would make a bad night of this one, and the command that mends it. */
export interface Complaint {
  /** A row of the table, or `health` for an answer of a probe. */
  readonly id: (typeof tonight)[number]['id'] | 'health';
  readonly severity: Severity;
  readonly words: string;
  readonly next: string | null;
}

export interface DoctorReport {
  readonly at: string;
  /** The worst first. */
  readonly complaints: readonly Complaint[];
  /** Questions that were asked, of health and of the table. */
  readonly asked: number;
}

type Needs = Parameters<typeof reportStatus>[0] &
  Parameters<typeof checkInTurn>[0] & { readonly memory: MonitorMemory; readonly files: Files; readonly alerts: Pick<Alerter, 'reveal'> };

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;

/** Everything that would fail tonight: the warnings of health, and what no probe asks. Reads, never writes. */
export async function examineTonight(app: Needs, signal: AbortSignal): Promise<DoctorReport> {
  const [health, facts] = await Promise.all([checkInTurn(app, { only: [] }, signal), gather(app, signal)]);
  const found = tonight.filter(({ when }) => when(facts));
  const complaints = [
    ...found.map(({ id, then, words, next }): Complaint => ({ id, severity: then, words: fill(words, { ...facts }), next })),
    ...health.probes.flatMap(ofProbe),
  ];
  const worst = (severity: Severity): number => (severity === 'critical' ? 0 : 1);
  return {
    at: app.clock.now().toISOString(),
    complaints: complaints.sort((a, b) => worst(a.severity) - worst(b.severity)),
    asked: health.probes.filter(({ status }) => status !== 'skipped').length + tonight.length,
  };
}

function ofProbe({ name, status, summary, hint }: ProbeReport): Complaint[] {
  if (status === 'ok' || status === 'skipped') return [];
  const next = hint ?? `\`dbkit health --probe ${name}\` asks again`;
  return [{ id: 'health', severity: status === 'critical' ? 'critical' : 'warning', words: `${name}: ${summary}`, next }];
}

async function gather(app: Needs, signal: AbortSignal): Promise<TonightFacts> {
  const { config, clock, files, history } = app;
  const { dataDir } = config.postgresql;
  const now = clock.now();
  const since = (iso: string): number => now.getTime() - Date.parse(iso);
  const [status, watch, backups, keeping, recoveries, isOnOneDisk, unread] = await Promise.all([
    reportStatus(app, signal),
    reportMonitor(app),
    everyBackup(app, signal).catch((cause: unknown) => {
      if (isAbort(cause)) throw cause;
      return []; // Health says why they cannot be listed.
    }),
    readKeeping(config.stateDir, files),
    history.all(),
    isOneDisk(dataDir, config.backupDir),
    unreadSecrets(config.alerts.channels, app.alerts),
  ]);
  const proven = backups.flatMap(({ backup }) => backup.provenAt ?? []).map(since);
  const major = versionFile(dataDir);
  return {
    holdsData: status.instance.hasData,
    isSupervised: status.supervisor.running,
    isHeld: status.services.some(({ state }) => state === 'held'),
    watchedAgoSeconds: watch.checkedAt === null ? null : Math.round(since(watch.checkedAt) / 1000),
    isMonitorPaused: watch.state.pausedUntil !== null && since(watch.state.pausedUntil) < 0,
    hasGivenUp: watch.state.gaveUp,
    channels: Object.keys(config.alerts.channels).length,
    unreadSecrets: unread.join(', '),
    copies: Object.keys(config.copies).length,
    hasGoodBackup: backups.some(({ backup }) => isGood(backup)),
    provenAgoDays: proven.length === 0 ? null : Math.floor(Math.min(...proven) / DAY_MS),
    isOnOneDisk,
    keepsWal: config.backup.engine === 'pgbackrest' || (keeping !== undefined && keeping.state !== 'stopped'),
    hasChecksums: checksumsOf(dataDir),
    major,
    supportedDays: supportedDays(major, now),
    writtenAheadSeconds: await writtenAhead(dataDir, now),
    recoveriesThisWeek: recoveries.filter(({ at, trigger }) => trigger !== 'person' && since(at) < WEEK_MS).length,
    openFilesMax: await openFilesMax(),
    mayChangeIds: mayChangeIds(),
    node: process.versions.node,
  };
}

const isOneDisk = (...folders: readonly [string, string]): Promise<boolean | null> =>
  Promise.all(folders.map((folder) => stat(folder))).then(
    ([data, backups]) => data!.dev === backups!.dev,
    () => null,
  );

function checksumsOf(dataDir: string): boolean | null {
  const read = readControl(dataDir);
  return 'control' in read ? read.control.checksums : null;
}

const writtenAhead = (dataDir: string, now: Date): Promise<number> =>
  stat(join(dataDir, 'global/pg_control')).then(
    ({ mtimeMs }) => Math.max(0, Math.round((mtimeMs - now.getTime()) / 1000)),
    () => 0,
  );

/** The soft limit of this process, which its children take over (proc(5), /proc/pid/limits). */
async function openFilesMax(): Promise<number | null> {
  const text = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const [, soft] = /^Max open files\s+(\d+)/m.exec(text) ?? [];
  return soft === undefined ? null : Number(soft);
}
