import { readFile } from 'node:fs/promises';
import { errnoOf } from '../kernel/errors.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';

/** A process by pid and start time: a pid alone may be another program's by now. */
export interface ProcessMark {
  readonly pid: number;
  readonly startedTicks: string;
}

/** The field 22 of /proc/PID/stat; undefined when the process is gone (proc(5)). Rejects, as all that is asked here, where dbkit is short of descriptors. */
export async function startedTicks(pid: number): Promise<string | undefined> {
  const fields = ((await readFile(`/proc/${pid}/stat`, 'utf8').catch(unlessOwnTrouble)) ?? '').split(') ').at(-1)!.split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}

export const lives = async ({ pid, startedTicks: started }: ProcessMark): Promise<boolean> => (await startedTicks(pid)) === started;

/** The process of this pid as it is now; undefined when it is gone. */
export async function markOf(pid: number): Promise<ProcessMark | undefined> {
  const ticks = await startedTicks(pid);
  return ticks === undefined ? undefined : { pid, startedTicks: ticks };
}

/** Sends a signal to the process that was marked, and to no other that has its pid by now; false where it is gone. */
export async function signalMarked(mark: ProcessMark, name: NodeJS.Signals): Promise<boolean> {
  if (!(await lives(mark))) return false;
  signalTo(mark.pid, name);
  return true;
}

/** Sends a signal; a process that has ended meanwhile is no failure. */
export function signalTo(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (cause) {
    if (errnoOf(cause) !== 'ESRCH') throw cause;
  }
}

/** The processes that one has started, those that still run (proc(5), /proc/PID/task/TID/children). */
export async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(unlessOwnTrouble)) ?? '';
  return text.split(' ').filter(Boolean).map(Number);
}

/** The process that has started it, or adopted it (proc(5), field 4 of /proc/PID/stat); undefined when it is gone. */
export async function parentOf(pid: number): Promise<number | undefined> {
  const fields = ((await readFile(`/proc/${pid}/stat`, 'utf8').catch(unlessOwnTrouble)) ?? '').split(') ').at(-1)!.split(' ');
  return fields[1] === undefined ? undefined : Number(fields[1]);
}

/** False for another user's process, where this one is not root's; one that has ended may be signalled. */
export function maySignal(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (cause) {
    return errnoOf(cause) === 'ESRCH';
  }
}
