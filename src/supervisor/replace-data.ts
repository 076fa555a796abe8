import type { Control } from '../control/contract.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Clock } from '../kernel/machine.ts';
import type { RecoveryHistory } from '../recovery/history-contract.ts';
import { type RestoreReport, type RestoreRequest, type Restorer, recoveryOf } from '../restore/contract.ts';

/**
 * Restores a backup, or takes the last replacement back: through the supervisor when one runs (the container lives on), else on the instance
 * itself. `mayReplace` is asked with the plan. Rejects with `recovery.refused` when the answer is no.
 */
export async function replaceData(
  {
    control,
    restorer,
    history,
    clock,
  }: { readonly control: Control; readonly restorer: Restorer; readonly history: RecoveryHistory; readonly clock: Clock },
  { dryRun, found, ...request }: RestoreRequest & { readonly dryRun: boolean },
  mayReplace: (plan: RestoreReport) => Promise<boolean>,
  signal: AbortSignal,
): Promise<RestoreReport> {
  const ask = (planned: RestoreRequest, only: boolean): Promise<unknown> =>
    control.ask({ command: 'restore', request: planned, dryRun: only }, signal);
  const plan = ((await ask(request, true)) as RestoreReport | undefined) ?? (await restorer.plan({ ...request, found }, signal));
  if (dryRun) return plan;
  if (!(await mayReplace(plan)))
    throw new DbkitError('recovery.refused', 'nothing was changed: the plan was declined', { hint: 'add --dry-run to see it again' });
  const decided = { ...request, label: plan.source.label, ...pinned(request, plan) }; // What was shown is what is done.
  const supervised = (await ask(decided, false)) as RestoreReport | undefined;
  if (supervised) return supervised; // The supervisor has recorded it.
  const report = await restorer.replace({ ...decided, found }, signal);
  await history.record(recoveryOf(report, clock.now().toISOString()));
  return report;
}

/** The very place in the WAL that was shown: a time or a statement might mean another one by now. */
function pinned({ point }: RestoreRequest, { point: shown }: RestoreReport): Pick<RestoreRequest, 'point'> {
  if (!point || !shown) return {};
  if (shown.stopBefore === null) return { point: { ...point, timeline: shown.timeline } };
  return { point: { to: 'lsn', value: shown.stopBefore, exclusive: true, timeline: shown.timeline } };
}
