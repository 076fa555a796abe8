import type { App } from '../core/app.ts';
import { DbkitError } from '../core/errors.ts';
import type { RecoverRequest, RecoveryReport } from '../core/recovery.ts';

const replacesData = ({ decision }: RecoveryReport): boolean => decision === 'restore' || decision === 'reinitialize';

/**
 * Plans, asks where data would be replaced, and carries out: through the supervisor when one runs (the container lives on), else on the
 * instance itself. `mayReplace` is asked with the plan. Rejects with `recovery.refused` when the answer is no.
 */
export async function recoverInstance(
  { control, instance, history }: Pick<App, 'control' | 'instance' | 'history'>,
  request: RecoverRequest,
  mayReplace: (plan: RecoveryReport) => Promise<boolean>,
  signal: AbortSignal,
): Promise<RecoveryReport> {
  const run = async (wanted: RecoverRequest): Promise<RecoveryReport> => {
    const answer = await control.ask({ command: 'recover', request: wanted }, signal);
    if (answer !== undefined) return answer as RecoveryReport; // The supervisor has recorded it.
    const report = { ...(await instance.recover(wanted, signal)), trigger: 'person' as const };
    if (!wanted.dryRun) await history.record(report);
    return report;
  };
  const plan = await run({ ...request, dryRun: true });
  if (request.dryRun) return plan;
  if (replacesData(plan) && !(await mayReplace(plan))) {
    throw new DbkitError('recovery.refused', 'nothing was changed: the plan was declined', {
      hint: '`dbkit recover --dry-run` shows it again',
    });
  }
  return run(request);
}
