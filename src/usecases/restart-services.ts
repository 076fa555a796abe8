import type { App, SupervisorStatus } from '../core/app.ts';
import { DbkitError } from '../core/errors.ts';

/** Asks the supervisor to stop and start one service, or all. Rejects with `control.unavailable` when none is running. */
export async function restartServices(
  { control }: Pick<App, 'control'>,
  service: string | undefined,
  signal: AbortSignal,
): Promise<SupervisorStatus> {
  const status = await control.ask({ command: 'restart', ...(service === undefined ? {} : { service }) }, signal);
  if (status === undefined)
    throw new DbkitError('control.unavailable', 'no dbkit supervisor is running here', {
      hint: 'start the services with `dbkit up --detach`',
    });
  return status as SupervisorStatus;
}
