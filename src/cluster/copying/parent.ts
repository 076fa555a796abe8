import type { Clock } from '../../kernel/machine.ts';

const EVERY_MS = 250;

/**
 * Runs `work` with a signal that fires when whoever started this process has died: a Patroni that is killed leaves its methods running, and the next
 * one begins another in the same directory. The kernel gives an orphan another parent (getppid(2)).
 */
export async function whileParentLives<T>(clock: Clock, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const [orphaned, over] = [new AbortController(), new AbortController()];
  const parent = process.ppid;
  const watch = async (): Promise<void> => {
    while (process.ppid === parent) await clock.sleep(EVERY_MS, over.signal);
    orphaned.abort(new Error('the Patroni that asked for this has died'));
  };
  const watching = watch().catch(() => undefined);
  try {
    return await work(orphaned.signal);
  } finally {
    over.abort();
    await watching;
  }
}
