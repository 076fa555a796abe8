import { constants, setPriority } from 'node:os';
import type { System } from '../kernel/machine.ts';

const TIMEOUT_MS = 5_000;

/**
 * Lets everybody else on this machine go first: the processor (nice) and, where ionice is installed and the disk's scheduler listens to it, the
 * disk. For this process to its end; threads that are started later inherit it. What is not permitted is left as it is.
 */
export async function lowerPriority({ runner }: Pick<System, 'runner'>, signal: AbortSignal): Promise<void> {
  try {
    setPriority(constants.priority.PRIORITY_LOW);
  } catch {
    // Some sandboxes forbid even that; the backup is worth more.
  }
  const idle = { file: 'ionice', args: ['-c', '3', '-p', String(process.pid)], as: 'caller' as const, timeoutMs: TIMEOUT_MS };
  await runner.attempt(idle, signal).catch(() => undefined);
  signal.throwIfAborted();
}
