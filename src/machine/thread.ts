import { parentPort } from 'node:worker_threads';
import { DbkitError, type Failure, toFailure } from '../kernel/errors.ts';

/** The answer of a thread to one batch. An error loses its class on the way: a failure of ours crosses as what it was made of. */
export type Answered<Result> =
  | { readonly results: readonly Result[] }
  | { readonly failure: Failure }
  | { readonly thrown: { readonly message: string; readonly code: string | undefined } };

/** Makes this thread serve `inThreads`: batches in, their results out. `prepare`: what a batch needs that cannot be had without waiting. */
export function serveBatches<Task, Result>(work: (task: Task) => Result, prepare?: (tasks: readonly Task[]) => Promise<void>): void {
  const answer = async (tasks: readonly Task[]): Promise<Answered<Result>> => {
    try {
      await prepare?.(tasks);
      return { results: tasks.map(work) };
    } catch (thrown) {
      if (thrown instanceof DbkitError) return { failure: toFailure(thrown) };
      const { message, code } = thrown as NodeJS.ErrnoException;
      return { thrown: { message, code } };
    }
  };
  parentPort?.on('message', async (tasks: readonly Task[]) => parentPort?.postMessage(await answer(tasks)));
}

/** As it was thrown in the thread, but for its stack. */
export const asThrown = (answer: Exclude<Answered<never>, { readonly results: unknown }>): Error =>
  'failure' in answer
    ? new DbkitError(answer.failure.code, answer.failure.message, { ...answer.failure, hint: answer.failure.hint ?? undefined })
    : Object.assign(new Error(answer.thrown.message), { code: answer.thrown.code });
