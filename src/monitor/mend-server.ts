import type { Backups } from '../backups/backup.ts';
import type { ExpireQuarantined } from '../backups/quarantine-retention.ts';
import type { Config } from '../config/config.ts';
import { memberSettings } from '../config/ha-settings.ts';
import type { Control } from '../control/contract.ts';
import { awaitHealth } from '../health/check.ts';
import { isOf, type ProbeReport } from '../health/health.ts';
import type { Probed } from '../health/probe.ts';
import type { Instance } from '../instance/contract.ts';
import { refuseForeign } from '../instance/guard/preflight.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Clock, Logger, SpawnChild } from '../kernel/machine.ts';
import type { RecoveryHistory } from '../recovery/history-contract.ts';
import { incident } from '../recovery/incidents.ts';
import { nothing, told } from '../recovery/losses.ts';
import type { Recover, RecoveryReport } from '../recovery/report.ts';
import { withAmcheck } from '../upkeep/check-structures.ts';
import type { Upkeep } from '../upkeep/contract.ts';
import { makeRoom } from '../upkeep/make-room.ts';

type Needs = {
  readonly config: Config;
  readonly services: readonly Probed[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly control: Control;
  readonly instance: Instance;
  readonly recover: Recover;
  readonly upkeep: Upkeep;
  readonly expireQuarantined: ExpireQuarantined;
  readonly history: RecoveryHistory;
  readonly backups: readonly Backups[];
  readonly spawn: SpawnChild;
  readonly commandEnvironment: Readonly<Record<string, string>>;
};

export interface Mended {
  /** One sentence, without a full stop. */
  readonly did: string;
  readonly report: RecoveryReport;
}

const ANSWER_MS = 60_000;

/**
 * Brings a failed server back in the least destructive way there is: lets stopped processes go on, restarts a hung one, and else climbs the
 * ladder, through the supervisor where one runs. Resolves when the server answers; rejects with the reason.
 */
export async function mendServer(
  app: Needs,
  { start, probe }: { readonly start: readonly string[]; readonly probe: ProbeReport | null },
  signal: AbortSignal,
): Promise<Mended> {
  const { instance, recover, control, history } = app;
  refuseMember(app.config);
  await refuseForeign(app.config.postgresql.dataDir); // Before a stopped process goes on: on a member of Patroni that may be a leader of the past.
  const begunMs = app.clock.monotonicMs();
  const answered = (mended: Mended): Promise<Mended> => untilWell(app, mended, probe?.name, signal);
  const woken = await instance.wake(signal);
  if (woken > 0) return answered(await noted(app, incident('processes-continued', { count: woken }), begunMs));
  const isSupervised = (await control.ask({ command: 'ping' }, signal)) !== undefined;
  if (isSupervised && probe !== null && isHungServer(probe)) {
    await control.ask({ command: 'restart', service: 'postgresql' }, signal);
    return answered(await noted(app, incident('server-was-hung'), begunMs));
  }
  const request = { dryRun: false, strategy: undefined, trigger: 'monitor' } as const;
  if (isSupervised) {
    const report = (await control.ask({ command: 'recover', request }, signal)) as RecoveryReport;
    if (report.decision === 'start' && probe?.name === 'data-directory') return answered(await restarted(app, begunMs, signal));
    return answered({ did: `${report.decision}: ${report.because}`, report });
  }
  await refuseNew(app, signal);
  await makeRoom(app, signal);
  const caretaker = await instance.caretaker();
  if (caretaker && probe !== null && mayStop(probe)) await caretaker.stop(signal);
  const report = { ...(await recover(request, signal)), trigger: request.trigger };
  await history.record(report);
  await startAgain(app, caretaker?.start ?? start);
  const mended = await answered({ did: `${report.decision}: ${report.because}; it was started again`, report });
  const checked = await withAmcheck(app, mended.report, signal);
  if (checked !== mended.report) await history.record(checked);
  return { ...mended, report: checked };
}

/** Patroni starts, rebuilds and promotes, and its guard sees to Patroni; a monitor beside them would be a second hand on the data. */
export function refuseMember(config: Config): void {
  if (memberSettings(config) === undefined) return;
  throw new DbkitError('recovery.refused', 'Patroni runs this server, and only Patroni starts or rebuilds it', {
    hint: 'look at the cluster: `dbkit ha status`; nothing was changed',
  });
}

/** Where there never was a server, or nothing is left of it and there is no backup, only a person begins a new one. */
async function refuseNew({ config, recover }: Needs, signal: AbortSignal): Promise<void> {
  const { decision, because } = await recover({ dryRun: true, strategy: undefined }, signal);
  if (decision === 'refuse')
    throw new DbkitError('recovery.refused', because, {
      hint: '`dbkit recover --dry-run` shows the evidence; nothing was stopped or changed',
    });
  if (decision !== 'initialize') return;
  throw new DbkitError('recovery.refused', `there is no data in ${config.postgresql.dataDir}, and no backup of it`, {
    hint: '`dbkit up --detach` begins a new, empty instance there; where its files are elsewhere, start it there',
  });
}

/**
 * Damage may be known to the server alone (a database's folder, while no inventory lists it): a start asks in every database, and
 * climbs the ladder with the answers.
 */
async function restarted(app: Needs, begunMs: number, signal: AbortSignal): Promise<Mended> {
  const earlier = (await app.history.newest())?.at;
  await app.control.ask({ command: 'restart', service: 'postgresql' }, signal);
  const report = await app.history.newest();
  if (report === undefined || report.at === earlier) return noted(app, incident('server-restarted'), begunMs);
  return { did: `it was restarted; ${report.decision}: ${report.because}`, report };
}

/** A server that runs is stopped only where it was seen to be hung or damaged: one that is merely not found may be somebody else's, and well. */
const mayStop = (probe: ProbeReport): boolean =>
  isOf('data-directory')(probe) || isHungServer(probe) || (isOf('connection')(probe) && probe.data?.why === 'damaged');

/** It takes connections and does not answer them. */
export const isHungServer = (probe: ProbeReport): boolean => isOf('connection')(probe) && probe.data?.why === 'hung';

/** Work that did not need a look at the data, for the history. */
async function noted({ clock, history }: Needs, why: ReturnType<typeof incident>, begunMs: number): Promise<Mended> {
  const report: RecoveryReport = {
    at: clock.now().toISOString(),
    findings: [],
    decision: 'start',
    ...why,
    steps: [],
    quarantine: null,
    ...told(nothing),
    durationMs: Math.round(clock.monotonicMs() - begunMs),
    trigger: 'monitor',
  };
  await history.record(report);
  return { did: why.because, report };
}

/** As the configuration says, else through whoever runs it here, else by dbkit in the background. */
async function startAgain({ config, spawn, commandEnvironment }: Needs, own: readonly string[]): Promise<void> {
  const [file = 'dbkit', ...args] = config.monitor.startCommand ?? own;
  const child = await spawn({ file, args, env: commandEnvironment, output: 'stderr', newSession: true });
  const { code, signal } = await child.exited;
  if (code !== 0)
    throw new DbkitError(
      'service.failed',
      `${file} ended with ${code === null ? signal : `status ${code}`} when the server was to be started`,
    );
}

/** It answers, and what failed does not fail any more: else nothing was mended. */
async function untilWell(app: Needs, mended: Mended, failed: string | undefined, signal: AbortSignal): Promise<Mended> {
  // Root is not let in where a role must be its system user's (peer): then only `service` is answered.
  const only = [...new Set(['service', 'connection', failed ?? 'connection'])];
  const { status, probes } = await awaitHealth(app, { only }, ANSWER_MS, signal);
  if (status !== 'critical') {
    const report = { ...mended.report, readyAt: mended.report.readyAt ?? app.clock.now().toISOString() };
    await app.history.record(report);
    return { ...mended, report };
  }
  const worst = probes.find((one) => one.status === 'critical');
  throw new DbkitError('service.unready', `${mended.did}, but the server still fails: ${worst?.summary ?? 'it does not answer'}`, {
    hint: '`dbkit status` and the server’s log say more',
  });
}
