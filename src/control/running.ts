import { DbkitError } from '../kernel/errors.ts';
import type { Control } from './contract.ts';

/** One that does not let this user in, or is frozen, runs all the same; one for other data is nobody here. */
export async function isRunning(control: Control, signal: AbortSignal): Promise<boolean> {
  try {
    return (await control.ask({ command: 'ping' }, signal)) !== undefined;
  } catch (cause) {
    if (!(cause instanceof DbkitError)) throw cause;
    return cause.code !== 'control.elsewhere';
  }
}
