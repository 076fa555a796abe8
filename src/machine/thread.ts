import { parentPort } from 'node:worker_threads';

/** The answer of a thread to one batch; an error crosses threads as its words and its code. */
export type Answered<Result> =
  | { readonly results: readonly Result[] }
  | { readonly failure: { readonly message: string; readonly code: string | undefined } };

/** Makes this thread serve `inThreads`: batches in, their results out. */
export function serveBatches<Task, Result>(work: (task: Task) => Result): void {
  const answer = (tasks: readonly Task[]): Answered<Result> => {
    try {
      return { results: tasks.map(work) };
    } catch (thrown) {
      const { message, code } = thrown as NodeJS.ErrnoException;
      return { failure: { message, code } };
    }
  };
  parentPort?.on('message', (tasks: readonly Task[]) => parentPort?.postMessage(answer(tasks)));
}
