import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type Answered, asThrown } from './thread.ts';

export interface ThreadWork<Task, Result> {
  /** The bundled worker's file name in dist/; it calls `serveBatches`. */
  readonly script: string;
  /** The same work on this thread, for where nothing is bundled, and for what is not worth a thread. */
  inPlace(task: Task): Result;
  /** Things that `inPlace` needs and that cannot be had without waiting. */
  prepare?(tasks: readonly Task[]): Promise<void>;
  done(result: Result): void;
  /** Threads however little there is to do: the work sleeps. */
  readonly always?: boolean;
  /** Default: as many as there are processors. */
  readonly threadsMax?: number;
}

/** A message costs as much as reading some ten kilobytes. */
const BATCH_BYTES = 1024 * 1024;
const BATCH_TASKS = 64;
/** Starting a thread takes as long as reading this much. */
const WORTH_A_THREAD_BYTES = 32 * 1024 * 1024;

/**
 * Hands the tasks to as many threads as there are processors; the calling thread only deals out and collects. Large tasks come first, so that
 * no thread is left with one at the end. Rejects with the first failure, when every thread has ended: nothing is written any more then.
 */
export async function inThreads<Task, Result>(
  tasks: readonly (Task & { readonly sizeBytes: number })[],
  { script, inPlace, prepare, done, always = false, threadsMax = availableParallelism() }: ThreadWork<Task, Result>,
  signal: AbortSignal,
): Promise<void> {
  const queue = batches([...tasks].sort((a, b) => b.sizeBytes - a.sizeBytes)).values();
  const path = new URL(`../${script}`, import.meta.url); // dist/<script>, seen from dist/chunks.
  const isLittle = !always && tasks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) < WORTH_A_THREAD_BYTES;
  let failed = false;
  const serve = async (work: (batch: readonly Task[]) => Promise<readonly Result[]>): Promise<void> => {
    for (const batch of queue) {
      signal.throwIfAborted();
      if (failed) return;
      for (const result of await work(batch)) done(result);
    }
  };
  if (isLittle || !existsSync(path)) {
    await prepare?.(tasks);
    return serve(async (batch) => {
      await turn(); // Signals and progress are heard between batches.
      return batch.map(inPlace);
    });
  }
  const serveThread = async (worker: Worker): Promise<void> => {
    try {
      await serve(async (batch) => {
        worker.postMessage(batch);
        const [answer] = (await once(worker, 'message', { signal })) as [Answered<Result>];
        if ('results' in answer) return answer.results;
        throw asThrown(answer);
      });
    } catch (cause) {
      failed = true;
      throw cause;
    } finally {
      await worker.terminate();
    }
  };
  const threads = Array.from({ length: Math.min(threadsMax, tasks.length) }, () => serveThread(new Worker(path)));
  const ended = await Promise.allSettled(threads);
  const failure = ended.find((end) => end.status === 'rejected');
  if (failure) throw failure.reason;
}

/** Large tasks alone, small ones together. */
function batches<Task extends { readonly sizeBytes: number }>(largestFirst: readonly Task[]): Task[][] {
  const all: Task[][] = [];
  let room = 0;
  for (const task of largestFirst) {
    const last = all.at(-1);
    if (last && last.length < BATCH_TASKS && task.sizeBytes <= room) last.push(task);
    else all.push([task]);
    room = (all.at(-1)!.length === 1 ? BATCH_BYTES : room) - task.sizeBytes;
  }
  return all;
}
