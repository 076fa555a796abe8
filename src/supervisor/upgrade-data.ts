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
 * Takes the data to a newer major. Where a supervisor runs the server, the backup is taken while it serves; then the supervisor stops it, does the
 * work, and starts it again, whatever came of it. `mayReplace` is asked with the plan. Rejects with what stands in the way before anything is changed.
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
  if (isSupervised) return bySupervisor(control, { ...request, to: plan.to.major ?? request.to }, backup, signal);
  const report = await upgrade.run(request, backup, signal);
  await history
    .record(recoveryOf(report, clock.now().toISOString()))
    .catch((cause: unknown) => app.log.warn('upgrade.not-recorded', `the upgrade is done, and could not be recorded: ${wordsOf(cause)}`));
  return report;
}

/** The supervisor does it, and starts the server again even when whoever asked is gone. */
async function bySupervisor(
  control: Control,
  request: UpgradeRequest,
  backup: string | undefined,
  signal: AbortSignal,
): Promise<UpgradeReport> {
  const report = await control.ask({ command: 'upgrade', request, ...(backup === undefined ? {} : { backup }) }, signal);
  if (report !== undefined) return report as UpgradeReport;
  throw new DbkitError('control.unavailable', 'the supervisor has ended meanwhile', {
    hint: 'nothing was changed; run the command again',
  });
}

/** For the history of recoveries: data was replaced, no row is lost, and what did not come over as it was is told. */
export function recoveryOf(report: UpgradeReport, at: string): RecoveryReport {
  const objects = report.missing.map(({ database, what }) => (database === '' ? what : `${database}: ${what}`));
  const asked = incident('upgrade-asked-for', { from: report.from.major ?? 0, to: report.to.major ?? 0 });
  return {
    at,
    findings: [],
    decision: 'restore',
    ...asked,
    steps: [{ step: `upgrade by ${report.method ?? 'nothing'}`, ...asked, done: true }],
    quarantine: report.quarantine,
    ...told(objects.length === 0 ? [] : [{ kind: 'objects', objects, oldBytes: report.quarantine }]),
    durationMs: report.durationMs,
    trigger: 'person',
    target: { dataDir: report.target.dataDir, sizeBytes: report.target.sizeBytes, systemIdentifier: null },
  };
}
