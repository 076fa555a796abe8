import type { App } from '../core/app.ts';
import { DbkitError } from '../core/errors.ts';
import type { RestoreReport, RestoreRequest } from '../core/restore.ts';

/**
 * Restores a backup, or takes the last replacement back: through the supervisor when one runs (the container lives on), else on the instance
 * itself. `mayReplace` is asked with the plan. Rejects with `recovery.refused` when the answer is no.
 */
export async function replaceData(
  { control, instance }: Pick<App, 'control' | 'instance'>,
  { dryRun, ...request }: RestoreRequest & { readonly dryRun: boolean },
  mayReplace: (plan: RestoreReport) => Promise<boolean>,
  signal: AbortSignal,
): Promise<RestoreReport> {
  const ask = (planned: RestoreRequest, only: boolean): Promise<unknown> =>
    control.ask({ command: 'restore', request: planned, dryRun: only }, signal);
  const plan = ((await ask(request, true)) as RestoreReport | undefined) ?? (await instance.restorer.plan(request, signal));
  if (dryRun) return plan;
  if (!(await mayReplace(plan)))
    throw new DbkitError('recovery.refused', 'nothing was changed: the plan was declined', { hint: 'add --dry-run to see it again' });
  const decided = { ...request, label: plan.source.label }; // What was shown is what is done.
  return ((await ask(decided, false)) as RestoreReport | undefined) ?? instance.restorer.replace(decided, signal);
}
