import type { ExitReason } from '../kernel/machine.ts';
import type { RestartPolicy } from './service.ts';

/** Whether a service that died is started again, and after how long; `reason` is for the log. */
export type RestartDecision =
  | { readonly restart: true; readonly afterMs: number; readonly reason: string }
  | { readonly restart: false; readonly reason: string };

/**
 * `deathsMs` are the times of its deaths, this one included, on the same clock as `nowMs`. The wait doubles with every death inside the
 * window, so a service that dies at once does not burn the machine, and one that dies once a day starts at once.
 */
export function decideRestart(policy: RestartPolicy, exit: ExitReason, deathsMs: readonly number[], nowMs: number): RestartDecision {
  const recent = deathsMs.filter((at) => nowMs - at <= policy.windowMs).length;
  if (policy.policy === 'never') return { restart: false, reason: 'its restart policy is never' };
  if (policy.policy === 'on-failure' && exit.code === 0) return { restart: false, reason: 'it ended by itself, without a failure' };
  if (recent > policy.max) return { restart: false, reason: `it died ${recent} times within ${Math.round(policy.windowMs / 1000)} s` };
  return {
    restart: true,
    afterMs: Math.min(policy.backoffMaxMs, policy.backoffMs * 2 ** (recent - 1)),
    reason: `death ${recent} of ${policy.max} that are tolerated`,
  };
}
