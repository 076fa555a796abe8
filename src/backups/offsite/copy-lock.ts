import { join } from 'node:path';
import { DbkitError } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';

/** Longer than most copies take; a first one of a large backup outlasts it, and whoever asks meanwhile is told that it is locked (75). */
const PATIENCE_MS = 600_000;

/** One run at a time copies to a place, or removes there, on this machine. Rejects with `lock.held`. */
export async function holdCopy<T>(
  {
    config: { stateDir },
    system,
  }: { readonly config: { readonly stateDir: string }; readonly system: Pick<System, 'files' | 'locks' | 'clock'> },
  name: string,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const { files, locks, clock } = system;
  await files.ownDirectory(join(stateDir, 'copies'), { mode: 0o700 });
  const deadlineMs = clock.monotonicMs() + PATIENCE_MS;
  for (;;) {
    signal.throwIfAborted();
    const lock = await locks.acquire(join(stateDir, 'copies', `.${name}.lock`), `a copy to ${name}`).catch((cause: unknown) => {
      if (!(cause instanceof DbkitError && cause.code === 'lock.held') || clock.monotonicMs() >= deadlineMs) throw cause;
    });
    if (lock !== undefined) return work().finally(() => lock.release());
    await clock.sleep(100, signal);
  }
}
