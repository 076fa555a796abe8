import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { withAny } from '../kernel/deadline.ts';
import { wordsOf } from '../kernel/errors.ts';
import type { Child, Clock, Logger, SpawnChild } from '../kernel/machine.ts';

interface Needs {
  readonly config: Config;
  readonly spawn: SpawnChild;
  readonly clock: Clock;
  readonly log: Logger;
  readonly commandEnvironment: Readonly<Record<string, string>>;
}

const WAITING_MS = 5_000;
const PAUSE_MAX_MS = 60_000;
/** One that lived so long was well. */
const WELL_MS = 60_000;

/**
 * Has new WAL sent to every place of `copies:` that wants it, until `signal` fires. Each place has a process of its own: a mount that hangs holds up
 * whoever asks it, and that must be neither the keeper of the WAL nor another place. One that ends is begun again. Never rejects.
 */
export async function sendWalElsewhere(app: Needs, program: (copy: string) => readonly string[], signal: AbortSignal): Promise<void> {
  const names = Object.entries(app.config.copies).flatMap(([name, { wal }]) => (wal === 'always' ? [name] : []));
  await Promise.all(names.map((name) => keepSending(app, name, program(name), signal)));
}

async function keepSending(app: Needs, name: string, program: readonly string[], signal: AbortSignal): Promise<void> {
  const { clock, log } = app;
  const pause = (forMs: number): Promise<void> => clock.sleep(forMs, signal).catch(() => undefined);
  while (!signal.aborted && !(await isKept(app))) await pause(WAITING_MS);
  let [said, pauseMs] = ['', 1_000];
  while (!signal.aborted) {
    const beganMs = clock.monotonicMs();
    const words = await one(app, program, signal);
    if (signal.aborted) return;
    if (clock.monotonicMs() - beganMs > WELL_MS) [said, pauseMs] = ['', 1_000];
    if (words !== '' && words !== said)
      log.warn('copy.wal-ended', `what sends WAL to ${name} ended and is started again: ${words}; dbkit.log says why`, { copy: name });
    said = words;
    await pause(pauseMs);
    pauseMs = Math.min(PAUSE_MAX_MS, pauseMs * 2);
  }
}

const isKept = async ({ config: { backupDir } }: Needs): Promise<boolean> =>
  (await readdir(join(backupDir, 'wal')).catch(() => [])).some((name) => /^\d+$/.test(name));

/** Why it ended; '' where it wanted to: its configuration is to be read again. It is told to end with `signal`, and not waited for. */
async function one(
  { spawn, config, commandEnvironment }: Needs,
  [file = 'dbkit', ...args]: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  let child: Child | undefined;
  try {
    child = await spawn({
      file,
      args,
      env: commandEnvironment,
      output: { appendTo: join(config.logDir, 'dbkit.log') },
      newSession: true,
    });
    const { exited } = child;
    const end = await withAny([signal], (either) => Promise.race([exited, aborted(either)]));
    return end === undefined || end.code === 0 ? '' : `it answered ${end.code ?? end.signal}`;
  } catch (cause) {
    return wordsOf(cause);
  } finally {
    if (signal.aborted) child?.kill('SIGTERM');
  }
}

const aborted = (signal: AbortSignal): Promise<undefined> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
