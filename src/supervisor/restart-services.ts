import type { Control } from '../control/contract.ts';
import type { SupervisorStatus } from '../control/status.ts';
import { DbkitError } from '../kernel/errors.ts';

/** Asks the supervisor to stop and start one service, or all. Rejects with `control.unavailable` when none is running. */
export async function restartServices(
  { control }: { readonly control: Control },
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
