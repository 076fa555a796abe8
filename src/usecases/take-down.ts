import type { App, SupervisorStatus } from '../core/app.ts';

export interface DownReport {
  readonly outcome: 'stopped' | 'not-running';
  readonly pid: number | null;
}

/** Stops what `up` or `entrypoint` started, and waits until it is gone. Nothing to stop is a success. */
export async function takeDown({ control, clock }: Pick<App, 'control' | 'clock'>, signal: AbortSignal): Promise<DownReport> {
  const status = (await control.ask({ command: 'shutdown' }, signal)) as SupervisorStatus | undefined;
  if (status === undefined) return { outcome: 'not-running', pid: null };
  while ((await control.ask({ command: 'ping' }, signal).catch(() => undefined)) !== undefined) await clock.sleep(50, signal);
  return { outcome: 'stopped', pid: status.pid };
}
