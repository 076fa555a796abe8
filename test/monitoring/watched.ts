import { spawnSync } from 'node:child_process';
import { crash } from '../harness/breaking.ts';
import { boot, type Running, run } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { freePort } from '../harness/ports.ts';
import { until } from '../harness/processes.ts';

export interface Watched {
  readonly instance: Instance;
  readonly running: Running;
  /** Without a slash at its end. */
  readonly url: string;
}

/** An instance with a backup and a past, watched from inside its entrypoint, with pages on a free port. */
export async function watchedInstance(): Promise<Watched> {
  const instance = await openInstance({ programs: installed[0]!, from: 'template' });
  const port = await freePort();
  const env = { DBKIT_MONITOR: 'true', DBKIT_LISTEN: String(port), HEALTH_CHECK_INTERVAL: '1', DBKIT_BACKUP_AFTER_START: 'false' };
  await crash(instance, await boot(instance, { env })); // The next boot has something to tell.
  const running = await boot(instance, { env });
  await run(instance, ['backup', 'create']);
  await run(instance, ['backup', 'drill']);
  const url = `http://127.0.0.1:${port}`;
  await until(
    async () => (await fetch(`${url}/readyz`).catch(() => undefined))?.status === 200,
    () => `the monitor has checked nothing yet:\n${running.words()}`,
  );
  return { instance, running, url };
}

/** Whether a program is installed: else a test is skipped, and says so. */
export const isInstalled = (program: string): boolean => spawnSync('which', [program]).status === 0;
