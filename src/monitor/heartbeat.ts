import { isAbort } from '../kernel/errors.ts';
import type { Clock } from '../kernel/machine.ts';
import type { SdNotify } from '../machine/systemd-contract.ts';

/** Every probe has a timeout, so a check that takes longer than this hangs. */
const CHECK_MS_MAX = 300_000;

export interface Heartbeat {
  /** A check is over; `words` are shown by `systemctl status`. */
  checked(words: string): void;
  /** A recovery takes as long as it takes: its work is never killed half-way. */
  during<T>(work: Promise<T>): Promise<T>;
}

/** Tells the service manager's watchdog that the monitor lives: for as long as checks come to an end, not merely while the process exists. */
export function heartbeat(
  { sdNotify, clock }: { readonly sdNotify: SdNotify; readonly clock: Clock },
  intervalMs: number,
  signal: AbortSignal,
): Heartbeat {
  let lastMs = clock.monotonicMs();
  let recoveries = 0;
  void sdNotify.tell('READY=1');
  const beat = async (everyMs: number): Promise<void> => {
    for (;;) {
      if (recoveries > 0 || clock.monotonicMs() - lastMs < intervalMs + CHECK_MS_MAX) await sdNotify.tell('WATCHDOG=1');
      await clock.sleep(everyMs, signal);
    }
  };
  if (sdNotify.watchdogMs !== null)
    void beat(sdNotify.watchdogMs / 2).catch((cause: unknown) => {
      if (!isAbort(cause)) throw cause;
    });
  return {
    checked(words) {
      lastMs = clock.monotonicMs();
      void sdNotify.tell(`STATUS=${words}`);
    },
    async during(work) {
      recoveries += 1;
      try {
        return await work;
      } finally {
        recoveries -= 1;
        lastMs = clock.monotonicMs();
      }
    },
  };
}
