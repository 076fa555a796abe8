import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { memberSettings } from '../config/ha-settings.ts';
import type { StatusBoard } from '../control/status.ts';
import { wordsOf } from '../kernel/errors.ts';
import type { Child, Logger, SpawnChild } from '../kernel/machine.ts';

const INTERRUPTED = 143; // By our own stop: the next one begins anew.

/** By the published state: clients are served, so there is something to work on. Patroni is ready when its server is. */
export async function isServerUp({ board }: { readonly board: Pick<StatusBoard, 'read'> }): Promise<boolean> {
  const published = await board.read();
  return published?.services.some(({ name, state }) => (name === 'postgresql' || name === 'patroni') && state === 'ready') ?? false;
}

/**
 * The automatic backup after a start, as a process of its own: and its memory goes with it. It decides by itself
 * whether anything has changed, and in a cluster whose turn it is. Undefined when it is switched off, no PostgreSQL is up, or it cannot be started,
 * which never fails a boot. A member of a cluster that starts is no reason for one: the schedule is.
 */
export async function startBackup(
  app: {
    readonly config: Config;
    readonly spawn: SpawnChild;
    readonly log: Logger;
    readonly board: StatusBoard;
    readonly commandEnvironment: Readonly<Record<string, string>>;
  },
  [file = 'dbkit', ...args]: readonly string[],
  { outlivesDbkit = false, isScheduled = false }: { readonly outlivesDbkit?: boolean; readonly isScheduled?: boolean } = {},
): Promise<Child | undefined> {
  const isWanted = isScheduled || (app.config.backup.afterStart && memberSettings(app.config) === undefined);
  if (!isWanted || !(await isServerUp(app))) return undefined;
  const output = { appendTo: join(app.config.logDir, 'dbkit.log') };
  try {
    const child = await app.spawn({
      file,
      args,
      env: app.commandEnvironment,
      output,
      newSession: true,
      outlivesDbkit,
    });
    void child.exited.then(({ code, signal }) => {
      if (code !== 0 && code !== INTERRUPTED && signal === null)
        app.log.warn('backup.failed', `the automatic backup failed: ${output.appendTo} says why`);
    });
    return child;
  } catch (cause) {
    app.log.warn('backup.failed', `the automatic backup could not be started: ${wordsOf(cause)}`);
    return undefined;
  }
}
