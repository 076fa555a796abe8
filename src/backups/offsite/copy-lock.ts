import { join } from 'node:path';
import type { System } from '../../kernel/machine.ts';
import { awaitLock } from '../../machine/await-lock.ts';

/** Longer than most copies take; a first one of a large backup outlasts it, and whoever asks meanwhile is told that it is locked (75). */
const PATIENCE_MS = 600_000;

interface Needs {
  readonly config: { readonly stateDir: string };
  readonly system: Pick<System, 'files' | 'locks' | 'clock'>;
}

/** One run at a time copies backups to a place, or removes there, on this machine. Rejects with `lock.held`. */
export const holdCopy = <T>(needs: Needs, name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> =>
  hold(needs, `.${name}.lock`, `a copy to ${name}`, signal, work);

/**
 * The same for the WAL of that copy, which goes on being sent while a large backup is copied. Whoever wants both takes the copy first. No name of a
 * copy has a dot, so no other copy has this file.
 */
export const holdWalOfCopy = <T>(needs: Needs, name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> =>
  hold(needs, `.${name}.wal.lock`, `WAL that is sent to ${name}`, signal, work);

async function hold<T>(
  { config: { stateDir }, system }: Needs,
  file: string,
  holder: string,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const { files, locks, clock } = system;
  await files.ownDirectory(join(stateDir, 'copies'), { mode: 0o700 });
  const attempt = () => locks.acquire(join(stateDir, 'copies', file), holder);
  const lock = await awaitLock(attempt, { clock, patienceMs: PATIENCE_MS, signal });
  return work().finally(() => lock.release());
}
