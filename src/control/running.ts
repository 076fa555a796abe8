import { DbkitError } from '../kernel/errors.ts';
import type { Control } from './contract.ts';
import type { StatusBoard, SupervisorStatus } from './status.ts';

/** One that does not let this user in, or is frozen, runs all the same; one for other data is nobody here. */
export async function isRunning(control: Pick<Control, 'ask'>, signal: AbortSignal): Promise<boolean> {
  try {
    return (await control.ask({ command: 'ping' }, signal)) !== undefined;
  } catch (cause) {
    if (!(cause instanceof DbkitError)) throw cause;
    return cause.code !== 'control.elsewhere';
  }
}

/** The supervisor's own words on its services: where the state volume is full, what it has published is old. Undefined when none is asked. */
export async function askStatus(control: Control, signal: AbortSignal): Promise<SupervisorStatus | undefined> {
  try {
    return (await control.ask({ command: 'status' }, signal)) as SupervisorStatus | undefined;
  } catch (cause) {
    if (!(cause instanceof DbkitError)) throw cause;
    return undefined; // It lets this user not in, or is frozen: what it has published must do.
  }
}

/** The same, and what it has published where it cannot be asked. */
export const statusOf = async (control: Control, board: StatusBoard, signal: AbortSignal): Promise<SupervisorStatus | undefined> =>
  (await askStatus(control, signal)) ?? board.read();
