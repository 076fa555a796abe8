import { DbkitError } from '../kernel/errors.ts';
import type { Clock, HeldLock } from '../kernel/machine.ts';

interface Waiting {
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
  readonly patienceMs: number;
  readonly signal: AbortSignal;
  /** Told once, before the first wait, why. */
  readonly told?: (words: string) => void;
}

const EVERY_MS = 100;

/**
 * Tries again for as long as `attempt` rejects with `lock.held`, which is thrown on after `patienceMs`; so is everything else at once. An abort ends
 * the wait. The first attempt is made without any patience too.
 */
export async function awaitLock(attempt: () => Promise<HeldLock>, { clock, patienceMs, signal, told }: Waiting): Promise<HeldLock> {
  const deadlineMs = clock.monotonicMs() + patienceMs;
  for (let attempts = 1; ; attempts += 1) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (cause) {
      if (!(cause instanceof DbkitError && cause.code === 'lock.held') || clock.monotonicMs() >= deadlineMs) throw cause;
      if (attempts === 1) told?.(cause.message);
      await clock.sleep(EVERY_MS, signal);
    }
  }
}
