import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

export interface ThreadWork<Task, Result> {
  /** The bundled worker's file name in dist/. */
  readonly script: string;
  /** The same work on this thread, for where nothing is bundled. */
  inPlace(task: Task): Result;
  done(result: Result): void;
}

/**
 * Hands the tasks to as many threads as there are processors; the calling thread only deals out and collects. Large tasks come first, so that
 * no thread is left with one at the end. Rejects with the first failure.
 */
export async function inThreads<Task, Result>(
  tasks: readonly (Task & { readonly sizeBytes: number })[],
  { script, inPlace, done }: ThreadWork<Task, Result>,
  signal: AbortSignal,
): Promise<void> {
  const queue = [...tasks].sort((a, b) => b.sizeBytes - a.sizeBytes).values();
  const path = new URL(`../${script}`, import.meta.url); // dist/<script>, seen from dist/chunks.
  const serve = async (work: (task: Task) => Result | Promise<Result>): Promise<void> => {
    for (const task of queue) {
      signal.throwIfAborted();
      done(await work(task));
    }
  };
  const serveThread = async (worker: Worker): Promise<void> => {
    try {
      await serve(async (task) => {
        worker.postMessage(task);
        const [result] = (await once(worker, 'message', { signal })) as [Result];
        return result;
      });
    } finally {
      await worker.terminate();
    }
  };
  if (!existsSync(path)) return serve(inPlace);
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), tasks.length) }, () => serveThread(new Worker(path))));
}
