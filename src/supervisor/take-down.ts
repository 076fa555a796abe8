import type { Control } from '../control/contract.ts';
import type { SupervisorStatus } from '../control/status.ts';
import { wordsOf } from '../kernel/errors.ts';
import type { Clock, Logger } from '../kernel/machine.ts';
import type { MonitorMemory } from '../monitor/decide.ts';
import { pauseMonitor } from '../monitor/pause.ts';

interface Needs {
  readonly control: Control;
  readonly clock: Clock;
  readonly memory: MonitorMemory;
  readonly log: Pick<Logger, 'warn'>;
}

export interface DownReport {
  readonly outcome: 'stopped' | 'not-running';
  readonly pid: number | null;
}

/**
 * Stops what `up` or `entrypoint` started, and waits until it is gone. Nothing to stop is a success. A monitor that has watched here stands by
 * for as long: a planned stop is no failure.
 */
export async function takeDown(
  { control, clock, memory, log }: Needs,
  { forMs }: { readonly forMs: number },
  signal: AbortSignal,
): Promise<DownReport> {
  await control.ask({ command: 'ping' }, signal); // Rejects where the supervisor is for other data: its monitor is not to be paused either.
  await rest({ memory, clock, log }, forMs);
  const status = (await control.ask({ command: 'shutdown' }, signal)) as SupervisorStatus | undefined;
  if (status === undefined) return { outcome: 'not-running', pid: null };
  while ((await control.ask({ command: 'ping' }, signal).catch(() => undefined)) !== undefined) await clock.sleep(50, signal);
  return { outcome: 'stopped', pid: status.pid };
}

/** A disk that takes no note must not keep a server from being stopped. */
async function rest({ memory, clock, log }: Pick<Needs, 'memory' | 'clock' | 'log'>, forMs: number): Promise<void> {
  try {
    if ((await memory.read()) !== undefined) await pauseMonitor({ memory, clock }, forMs, 'down');
  } catch (cause) {
    log.warn('monitor.not-paused', `the monitor could not be paused: ${wordsOf(cause)}`);
  }
}
