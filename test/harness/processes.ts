import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Processes that work inside `directory`: their working directory is in it, or their command line names it. */
export function processesIn(directory: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid)
    .filter((pid) => {
      const cwd = attempt(() => readlinkSync(`/proc/${pid}/cwd`));
      const words = attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? '';
      return cwd === directory || cwd?.startsWith(`${directory}/`) || words.includes(directory);
    })
    .filter((pid) => attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))?.includes(') Z ') === false);
}

/** Kills what a test left running in its own directory, and nothing else. */
export async function killAllIn(directory: string): Promise<void> {
  for (let round = 0; round < 100; round += 1) {
    const pids = processesIn(directory);
    if (pids.length === 0) return;
    for (const pid of pids) attempt(() => process.kill(pid, 'SIGKILL'));
    await sleep(50);
  }
  throw new Error(`processes in ${directory} do not die: ${processesIn(directory).join(', ')}`);
}

/** Waits until nothing works in `directory` any more: the children of a killed postmaster take a moment to notice. */
export async function untilNoneIn(directory: string): Promise<void> {
  await until(
    () => processesIn(directory).length === 0,
    () => `processes are still in ${directory}: ${processesIn(directory).join(', ')}`,
  );
}

/** Polls until `condition` holds. Rejects with `otherwise` after `patienceMs`, which only a broken product uses up. */
export async function until(condition: () => boolean | Promise<boolean>, otherwise: () => string, patienceMs = 60_000): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += 20) {
    if (await condition()) return;
    if (waitedMs > patienceMs) throw new Error(otherwise());
    await sleep(20);
  }
}

/**
 * Stops a process where it stands, and resolves once it does: of two signals that wait for a process the lower number comes first (signal(7)), so that
 * one that is told SIGSTOP and SIGQUIT before it had its turn ends by SIGQUIT.
 */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await until(
    () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.startsWith('T'),
    () => `process ${pid} does not stop`,
  );
}

/** Kills each session that a server on `dataDir` begins in `database`, `most` of them, as a bug or a damaged catalog does. */
export function killWhoeverEnters(
  dataDir: string,
  database: string,
  most = Number.POSITIVE_INFINITY,
): { count(): number; stop(): Promise<void> } {
  let [count, isOver] = [0, false];
  const enters = (pid: string): boolean =>
    attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.includes(` ${database} [local]`) === true;
  const look = (): void => {
    const postmaster = attempt(() => readFileSync(`${dataDir}/postmaster.pid`, 'utf8'))?.split('\n')[0];
    const children = attempt(() => readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8')) ?? '';
    for (const pid of children.split(' ').filter((child) => child !== '' && enters(child)))
      if (count < most && attempt(() => process.kill(Number(pid), 'SIGSEGV'))) count += 1;
  };
  const loop = (async () => {
    while (!isOver) {
      look();
      await sleep(1);
    }
  })();
  return {
    count: () => count,
    stop: async () => {
      isOver = true;
      await loop;
    },
  };
}

function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined; // It ended while we looked, or it is not ours to see.
  }
}
