import type { Alert } from '../alerts/alert.ts';
import { isAbort, wordsOf } from '../kernel/errors.ts';
import { check, type MonitorCheck, type MonitorNeeds } from './check.ts';
import { heartbeat } from './heartbeat.ts';

export interface Watching {
  /** How the services are started again where nobody supervises them. */
  readonly start: readonly string[];
  readonly intervalMs: number;
  onCheck(check: MonitorCheck): void;
  /** A recovery begins, or has ended: it takes as long as it takes. */
  onRecovery?(isUnderWay: boolean): void;
}

/**
 * Checks again and again until the signal fires. Rejects with `lock.held` when another monitor watches. Alerts never hold a check up, and a
 * check that fails for a reason of dbkit's own (no descriptors, no memory, a full disk) counts for nothing: the next one is made.
 */
export async function monitor(app: MonitorNeeds, { start, intervalMs, onCheck, onRecovery }: Watching, signal: AbortSignal): Promise<void> {
  await app.memory.alone(async () => {
    const telling = new Set<Promise<void>>();
    const tell = (alert: Alert): void => {
      const told = app.alerts.tell(alert, signal).finally(() => telling.delete(told));
      telling.add(told);
    };
    const pulse = heartbeat(app, intervalMs, signal);
    const during = async <T>(work: Promise<T>): Promise<T> => {
      onRecovery?.(true);
      try {
        return await pulse.during(work);
      } finally {
        onRecovery?.(false);
      }
    };
    try {
      for (;;) {
        try {
          const done = await check(app, { start, tell, recovers: true, during }, signal);
          onCheck(done);
          pulse.checked(`${done.verdict}: ${done.because}`);
          void app.ping(signal);
        } catch (cause) {
          if (isAbort(cause) && signal.aborted) throw cause;
          app.log.warn('monitor.check-failed', `this check could not be made, the next one follows: ${wordsOf(cause)}`);
        }
        await app.clock.sleep(intervalMs, signal);
      }
    } catch (cause) {
      if (!(isAbort(cause) && signal.aborted)) throw cause;
    } finally {
      await Promise.all(telling);
    }
  });
}

/** One check for a timer; returns when everybody has been told. Where it does not `recover`, a recovery that is due is left to another process. */
export async function monitorOnce(
  app: MonitorNeeds,
  { start, recovers }: { readonly start: readonly string[]; readonly recovers: boolean },
  signal: AbortSignal,
): Promise<MonitorCheck> {
  return app.memory.alone(async () => {
    const telling: Promise<void>[] = [];
    const tell = (alert: Alert): void => void telling.push(app.alerts.tell(alert, signal));
    const done = await check(app, { start, tell, recovers, during: (work) => work }, signal);
    await Promise.all([...telling, app.ping(signal)]);
    return done;
  });
}
