import type { System } from '../kernel/machine.ts';
import type { RetentionDecision } from './backup.ts';
import type { Recorded } from './catalog.ts';
import type { Holdings } from './holdings.ts';
import { beingRead, type Candidate, planRetention, type RetentionPolicy } from './retention.ts';

/**
 * Removes what the policy does not keep, oldest first, each with its reason; under the repository's lock and only after a good backup. What
 * is being read, or cannot be removed, is reported and left for the next time: the backup that was made stands.
 */
export async function expireBackups<R extends Candidate & Recorded>(
  repository: Pick<Holdings<R>, 'records' | 'remove'>,
  policy: RetentionPolicy,
  system: System,
  signal: AbortSignal,
): Promise<readonly RetentionDecision[]> {
  const plan = [...planRetention(await repository.records(signal), policy)];
  for (const [index, { label, keep, because }] of [...plan.entries()].toReversed()) {
    if (keep) continue;
    signal.throwIfAborted();
    try {
      const removed = await repository.remove(label);
      if (removed) system.log.info('backup.expired', `Removed backup ${label}: ${because}.`, { label, because });
      else plan[index] = { label, ...beingRead };
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      system.log.warn('backup.expire-failed', `Backup ${label} could not be removed.`, { label, reason });
    }
  }
  return plan;
}
