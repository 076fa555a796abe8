import type { Alert } from '../alerts/alert.ts';
import type { Alerter } from '../alerts/contract.ts';
import type { Backups } from '../backups/backup.ts';
import type { ExpireQuarantined } from '../backups/quarantine-retention.ts';
import type { Config } from '../config/config.ts';
import { memberSettings } from '../config/ha-settings.ts';
import type { Control } from '../control/contract.ts';
import { isRunning } from '../control/running.ts';
import { type ServiceState, type StatusBoard, serverAmong } from '../control/status.ts';
import { checkHealth } from '../health/check.ts';
import type { HealthReport } from '../health/health.ts';
import { type Probed, probeNames } from '../health/probe.ts';
import type { Instance } from '../instance/contract.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import type { Clock, Logger, SpawnChild } from '../kernel/machine.ts';
import type { SdNotify } from '../machine/systemd-contract.ts';
import type { RecoveryHistory } from '../recovery/history-contract.ts';
import { howMuch } from '../recovery/losses.ts';
import type { Recover, RecoveryReport } from '../recovery/report.ts';
import type { Upkeep } from '../upkeep/contract.ts';
import type { MonitorMemory } from './decide.ts';
import {
  type Action,
  type Busy,
  type DecisionId,
  decide,
  leaveToAnother,
  type MonitorEvent,
  type MonitorState,
  remembered,
  watchingAnew,
} from './decide.ts';
import { sampleOf } from './measurements.ts';
import { isHungServer, mendServer } from './mend-server.ts';
import { alertsOf, becauseOf, sentence } from './messages.ts';
import { judgeCheck, type Seen, type Verdict } from './verdict.ts';
import type { WatchedCluster } from './watched-cluster.ts';

export type MonitorNeeds = {
  readonly config: Config;
  readonly services: readonly Probed[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly board: StatusBoard;
  readonly history: RecoveryHistory;
  readonly control: Control;
  readonly instance: Instance;
  readonly recover: Recover;
  readonly upkeep: Upkeep;
  readonly expireQuarantined: ExpireQuarantined;
  readonly backups: readonly Backups[];
  readonly memory: MonitorMemory;
  readonly alerts: Alerter;
  readonly ping: (signal: AbortSignal) => Promise<boolean>;
  readonly sdNotify: SdNotify;
  readonly spawn: SpawnChild;
  readonly commandEnvironment: Readonly<Record<string, string>>;
  readonly watchedCluster: WatchedCluster;
};

/** One check: what was seen, what was decided, and what came of it. */
export interface MonitorCheck {
  readonly at: string;
  readonly health: HealthReport;
  readonly verdict: Verdict;
  readonly action: Action;
  /** Which row of the decisions says so. */
  readonly decision: DecisionId;
  /** The same in words. */
  readonly because: string;
  readonly state: MonitorState;
  readonly events: readonly MonitorEvent[];
  /** The result of a recovery, or its failure; null where there was none. */
  readonly recovery: { readonly ok: boolean; readonly words: string; readonly report: RecoveryReport | null } | null;
}

export interface Means {
  readonly start: readonly string[];
  tell(alert: Alert): void;
  readonly recovers: boolean;
  /** The surroundings of a recovery. */
  during<T>(work: Promise<T>): Promise<T>;
}

/** Asks, decides, remembers, tells, and recovers where that is due. */
export async function check(app: MonitorNeeds, { start, tell, recovers, during }: Means, signal: AbortSignal): Promise<MonitorCheck> {
  const { clock, config, memory, log } = app;
  const [health, cluster] = await Promise.all([checkHealth(app, { only: [] }, signal), app.watchedCluster.news(signal)]);
  await memory.sample(sampleOf(health)).catch((cause: unknown) => log.debug('monitor.unsampled', wordsOf(cause))); // Of no weight: a full disk must not stop it.
  const known = await memory.read(); // Only now: a person may have paused it meanwhile.
  const before = known?.state ?? watchingAnew;
  const { maxFailures, cooldownSeconds, maxRecoveries } = config.monitor;
  const limits = { maxFailures, cooldownMs: cooldownSeconds * 1000, maxRecoveries };
  const isDue = before.failures + 1 >= maxFailures;
  const seen = await hungOrSlow(app, await lookAgain(app, judgeCheck(health), signal), isDue, signal);
  const busy = seen.verdict === 'failed' ? await whoWorks(app, signal) : null;
  const isRemote = seen.verdict === 'failed' && isDue && (await app.instance.isElsewhere()) && !(await isSupervised(app, signal));
  const isMember = memberSettings(config) !== undefined;
  const decided = decide({ seen, state: before, limits, nowMs: clock.now().getTime(), busy, isRemote, isMember });
  const { decision, state } = decided.decision.action === 'recover' && !recovers ? leaveToAnother(before) : decided;
  const because = becauseOf(decision);
  const at = clock.now().toISOString();
  const what = sentence(seen, decision, state, before, limits);
  const checkedEvents = [...(what === null ? [] : [what]), ...cluster.events].map((one) => ({ at, what: one }));
  const isKept = await memory.writeOrHold({ state, checkedAt: at, events: remembered(known?.events ?? [], checkedEvents) }); // Before it acts: a kill is counted.
  if (!isKept)
    log.warn('monitor.unremembered', `nothing can be written to ${config.stateDir}: the counters are lost when this monitor ends`);
  if (what !== null) log.info('monitor.checked', what);
  for (const event of cluster.events) log.info('ha.changed', event);
  for (const alert of [...alertsOf(seen, decision, state, before, limits), ...cluster.alerts]) tell(alert);
  const recovery = decision.action === 'recover' ? await during(recover(app, { start, tell }, seen, signal)) : null;
  const common = { at, health, verdict: seen.verdict, action: decision.action, decision: decision.id, because };
  if (recovery === null) return { ...common, state, events: remembered(known?.events ?? [], checkedEvents), recovery };
  const events = remembered(known?.events ?? [], [...checkedEvents, { at: clock.now().toISOString(), what: recovery.words }]);
  const { pausedUntil, pausedSince, pausedBy } = (await memory.read())?.state ?? state; // A person may have said so while it was recovered.
  const counted = recovery.counts ? state : { ...state, recoveries: before.recoveries, lastRecoveryAt: before.lastRecoveryAt };
  const after = { ...counted, pausedUntil, pausedSince, pausedBy };
  await memory.writeOrHold({ state: after, checkedAt: at, events });
  return { ...common, state: after, events, recovery };
}

async function recover(
  app: MonitorNeeds,
  { start, tell }: Pick<Means, 'start' | 'tell'>,
  seen: Seen,
  signal: AbortSignal,
): Promise<NonNullable<MonitorCheck['recovery']> & { readonly counts: boolean }> {
  const begunMs = app.clock.monotonicMs();
  try {
    const { did, report } = await mendServer(app, { start, probe: seen.probe }, signal);
    const seconds = ((app.clock.monotonicMs() - begunMs) / 1000).toFixed(1);
    const words = `recovered in ${seconds} s: ${did}`;
    app.log.info('monitor.recovered', words);
    const lost = howMuch(report.losses) === 'nothing' ? 'Nothing is lost.' : `Lost: ${report.lost}.`;
    const old = report.quarantine ? [`The old bytes are in ${report.quarantine}.`] : [];
    tell({
      topic: 'recovery',
      severity: 'SUCCESS',
      resolves: false,
      title: 'the server was recovered',
      lines: [`${words}.`, lost, ...old],
      command: 'dbkit status',
    });
    return { ok: true, words, report, counts: true };
  } catch (cause) {
    if (signal.aborted) throw cause;
    const isBusy = cause instanceof DbkitError && cause.code === 'lock.held';
    const words = `${isBusy ? 'the recovery was put off' : 'the recovery failed'}: ${wordsOf(cause)}`;
    app.log.warn('monitor.not-recovered', words);
    const hint = cause instanceof DbkitError && cause.hint ? [cause.hint] : [];
    const next = {
      resolves: false,
      title: 'the server could not be recovered',
      lines: [`${words}.`, ...hint],
      command: 'dbkit recover --dry-run',
    };
    if (!isBusy) tell({ topic: 'recovery', severity: 'CRITICAL', ...next });
    return { ok: false, words, report: null, counts: !isBusy };
  }
}

/** A server that dies in the middle of a check fails some questions before its process is seen to be gone: it is looked at once more. */
async function lookAgain(app: MonitorNeeds, seen: Seen, signal: AbortSignal): Promise<Seen> {
  if (seen.verdict !== 'unwell') return seen;
  const there = await probeNames(app.services);
  const only = ['service', 'connection'].filter((name) => there.has(name));
  if (only.length === 0) return seen;
  const again = judgeCheck(await checkHealth(app, { only }, signal));
  return again.verdict === 'failed' || again.verdict === 'waiting' ? again : seen;
}

/** How much longer than a probe is waited for an answer before a server that seems hung is restarted. */
const SLOW = 6;

/** A server that answers at last is slow, not hung: a restart would end everybody's work and make the night no faster. */
async function hungOrSlow(
  {
    instance,
    config,
  }: {
    readonly instance: Instance;
    readonly recover: Recover;
    readonly upkeep: Upkeep;
    readonly expireQuarantined: ExpireQuarantined;
    readonly config: Config;
  },
  seen: Seen,
  isDue: boolean,
  signal: AbortSignal,
): Promise<Seen> {
  const isHung = seen.verdict === 'failed' && seen.probe !== null && isHungServer(seen.probe);
  if (!isHung || !isDue) return seen;
  const answer = await instance.live(SLOW * config.health.timeoutSeconds * 1000, signal);
  return answer === undefined ? seen : { ...seen, verdict: 'unwell', reason: 'beyond-recovery' };
}

const isSupervised = ({ control }: { readonly control: Pick<Control, 'ask'> }, signal: AbortSignal): Promise<boolean> =>
  isRunning(control, signal).catch(() => false);

/** In which state the supervisor has the service: one that a person stopped, or that dbkit works on, is not the monitor's. */
const busyIn: Partial<Record<ServiceState, Busy>> = {
  held: 'held',
  stopped: 'stopped',
  preparing: 'working',
  starting: 'working',
  restarting: 'working',
  stopping: 'working',
};

/** Null where nobody supervises, or the supervisor has it running. */
export async function whoWorks(
  { control, board }: { readonly control: Pick<Control, 'ask'>; readonly board: Pick<StatusBoard, 'read'> },
  signal: AbortSignal,
): Promise<Busy | null> {
  if (!(await isSupervised({ control }, signal))) return null;
  const state = serverAmong((await board.read())?.services ?? [])?.state;
  return (state && busyIn[state]) ?? null;
}
