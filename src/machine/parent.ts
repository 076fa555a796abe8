import type { Clock } from '../kernel/machine.ts';

const EVERY_MS = 250;

/** True once whoever started this process is gone: the kernel then gives it another parent (credentials(7)). */
export function createParentWatch(): () => boolean {
  const parent = process.ppid;
  return () => process.ppid !== parent;
}

/** Runs `work` with a signal that fires when whoever started this process has died. */
export async function whileParentLives<T>(clock: Clock, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const [orphaned, over] = [new AbortController(), new AbortController()];
  const isOver = createParentWatch();
  const watch = async (): Promise<void> => {
    while (!isOver()) await clock.sleep(EVERY_MS, over.signal);
    orphaned.abort(new Error('the program that asked for this has died'));
  };
  const watching = watch().catch(() => undefined);
  try {
    return await work(orphaned.signal);
  } finally {
    over.abort();
    await watching;
  }
}
