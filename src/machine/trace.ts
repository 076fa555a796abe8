import type { Clock, Logger, Trace } from '../kernel/machine.ts';

/** The timeline of a boot in the log: where its milliseconds go on the machine at hand. `wanted` is DBKIT_TRACE. */
export function createTrace(wanted: string | undefined, { clock, log }: { readonly clock: Clock; readonly log: Logger }): Trace {
  if (wanted !== 'boot') return () => undefined;
  let lastMs = 0;
  return (moment) => {
    const sinceStartMs = round(clock.monotonicMs());
    const stepMs = round(sinceStartMs - lastMs);
    lastMs = sinceStartMs;
    log.info('boot.trace', `${sinceStartMs.toFixed(1).padStart(8)} ms  ${moment} (+${stepMs.toFixed(1)})`, {
      moment,
      sinceStartMs,
      stepMs,
    });
  };
}

const round = (ms: number): number => Math.round(ms * 10) / 10;
