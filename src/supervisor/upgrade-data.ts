import type { Control } from '../control/contract.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import type { Clock, Logger } from '../kernel/machine.ts';
import type { RecoveryHistory } from '../recovery/history-contract.ts';
import { incident } from '../recovery/incidents.ts';
import { told } from '../recovery/losses.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import type { Upgrade, UpgradeReport, UpgradeRequest } from '../upgrade/contract.ts';
import { requireNone } from '../upgrade/refuse.ts';

/**
 * Takes the data to a newer major. Where a supervisor runs the server, the backup is taken while it serves; then the supervisor stops it, and starts
 * it again, whatever came of it. `mayReplace` is asked with the plan. Rejects with what stands in the way before anything is changed.
 */
export async function upgradeData(
  app: {
    readonly upgrade: Upgrade;
    readonly control: Control;
    readonly history: RecoveryHistory;
    readonly clock: Clock;
    readonly log: Logger;
  },
  { dryRun, ...request }: UpgradeRequest & { readonly dryRun: boolean },
  mayReplace: (plan: UpgradeReport) => Promise<boolean>,
  signal: AbortSignal,
): Promise<UpgradeReport> {
  const { upgrade, control, history, clock } = app;
  const plan = await upgrade.plan(request, signal);
  if (dryRun) return plan;
  requireNone(plan.obstacles);
  const isSupervised = (await control.ask({ command: 'ping' }, signal)) !== undefined;
  if (plan.target.serverRuns && !isSupervised)
    throw new DbkitError('server.running', `a server that dbkit does not supervise runs on ${plan.target.dataDir}`, {
      hint: 'stop it first; nothing was changed',
    });
  if (!(await mayReplace(plan)))
    throw new DbkitError('recovery.refused', 'nothing was changed: the plan was declined', { hint: 'add --dry-run to see it again' });
  const backup = plan.target.serverRuns ? await upgrade.backUp(plan, signal) : undefined;
  const report = isSupervised
    ? await whileStopped(app, () => upgrade.run(request, backup, signal), signal)
    : await upgrade.run(request, backup, signal);
  await history
    .record(recoveryOf(report, clock.now().toISOString()))
    .catch((cause: unknown) => app.log.warn('upgrade.not-recorded', `the upgrade is done, and could not be recorded: ${wordsOf(cause)}`));
  return report;
}

/** The container lives on. Should the upgrade fail, the server goes on with the data that it had. */
async function whileStopped<T>(
  { control, log }: { readonly control: Control; readonly log: Logger },
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const never = new AbortController().signal; // Whoever gives up still wants the server back.
  try {
    await control.ask({ command: 'stop', service: 'postgresql' }, signal);
    return await work();
  } finally {
    await control
      .ask({ command: 'start', service: 'postgresql' }, never)
      .catch((cause: unknown) => log.error('upgrade.not-started', `the server could not be started again: ${wordsOf(cause)}`));
  }
}

/** For the history of recoveries: data was replaced, and nothing is lost. */
export function recoveryOf(report: UpgradeReport, at: string): RecoveryReport {
  const asked = incident('upgrade-asked-for', { from: report.from.major ?? 0, to: report.to.major ?? 0 });
  return {
    at,
    findings: [],
    decision: 'restore',
    ...asked,
    steps: [{ step: `upgrade by ${report.method ?? 'nothing'}`, ...asked, done: true }],
    quarantine: report.quarantine,
    ...told([]),
    durationMs: report.durationMs,
    trigger: 'person',
    target: { dataDir: report.target.dataDir, sizeBytes: report.target.sizeBytes, systemIdentifier: null },
  };
}
