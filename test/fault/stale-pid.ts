import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asServerUser } from '../harness/as-user.ts';
import { write } from '../harness/breaking.ts';
import type { Instance } from '../harness/instance.ts';
import { until } from '../harness/processes.ts';

/** A living process of the server's user that is not a postgres; it ends with the instance. */
export async function innocent({ root, beforeRemoval }: Instance): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { cwd: root, stdio: 'ignore', ...asServerUser });
  await once(child, 'spawn');
  beforeRemoval(async () => void child.kill('SIGKILL'));
  return child;
}

/** The id of one of its threads, which kill(2) finds just like a process. */
export async function threadOf({ pid }: ChildProcess): Promise<number> {
  const others = (): number[] =>
    readdirSync(`/proc/${pid}/task`)
      .map(Number)
      .filter((id) => id !== pid);
  await until(
    () => others().length > 0,
    () => `process ${pid} has no threads`,
  );
  return others()[0]!;
}

/** Puts another pid into the postmaster.pid that a crash has left. */
export async function pretendPid(instance: Instance, pid: number): Promise<void> {
  const [, ...rest] = (await readFile(join(instance.dataDir, 'postmaster.pid'), 'utf8')).split('\n');
  await write(instance, 'postmaster.pid', [pid, ...rest].join('\n'));
}
