import type { App, SupervisorStatus } from '../core/app.ts';
import { pauseMonitor } from './pause-monitor.ts';

export interface DownReport {
  readonly outcome: 'stopped' | 'not-running';
  readonly pid: number | null;
}

/**
 * Stops what `up` or `entrypoint` started, and waits until it is gone. Nothing to stop is a success. A monitor that has watched here stands by
 * for as long: a planned stop is no failure.
 */
export async function takeDown(
  { control, clock, memory }: Pick<App, 'control' | 'clock' | 'memory'>,
  { forMs }: { readonly forMs: number },
  signal: AbortSignal,
): Promise<DownReport> {
  if ((await memory.read()) !== undefined) await pauseMonitor({ memory, clock }, forMs);
  const status = (await control.ask({ command: 'shutdown' }, signal)) as SupervisorStatus | undefined;
  if (status === undefined) return { outcome: 'not-running', pid: null };
  while ((await control.ask({ command: 'ping' }, signal).catch(() => undefined)) !== undefined) await clock.sleep(50, signal);
  return { outcome: 'stopped', pid: status.pid };
}
