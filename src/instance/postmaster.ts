import { readFileSync } from 'node:fs';

import { join } from 'node:path';
import { errnoOf, isDenied } from '../kernel/errors.ts';
import { readPlainText } from '../machine/plain-file.ts';

/** The server as its own pid file and the kernel see it: so also one that is hung. */
export type Postmaster =
  | { readonly kind: 'denied' | 'absent' }
  | { readonly kind: 'gone'; readonly pid: number }
  /** `status` is line 8 of the file: 'starting', 'stopping', 'ready', 'standby' (src/include/utils/pidfile.h). */
  | { readonly kind: 'alive'; readonly pid: number; readonly status: string; readonly isStopped: boolean };

export async function findPostmaster(dataDir: string): Promise<Postmaster> {
  const read = await readPlainText(join(dataDir, 'postmaster.pid')).then(
    (text) => ({ text }),
    (cause: unknown) => ({ cause }),
  );
  if ('cause' in read) {
    if (isDenied(read.cause)) return { kind: 'denied' };
    if (isMissing(read.cause)) return { kind: 'absent' };
    throw read.cause; // Too few descriptors, a disk that does not answer: that says nothing about the server.
  }
  const lines = read.text.split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return { kind: 'absent' };
  const state = processState(pid);
  if (state === undefined || isSomebodyElse(pid)) return { kind: 'gone', pid };
  return { kind: 'alive', pid, status: lines[7]?.trim() ?? '', isStopped: isStopped(state) };
}

const isMissing = (cause: unknown): boolean => ['ENOENT', 'ENOTDIR', 'EISDIR'].includes(errnoOf(cause) ?? '');

export interface ServerProcess {
  readonly pid: number;
  readonly isStopped: boolean;
}

/** The postmaster's children; empty where there is no /proc. */
export const processesOf = (postmaster: number): readonly ServerProcess[] =>
  proc(`${postmaster}/task/${postmaster}/children`)
    .split(' ')
    .filter(Boolean)
    .map((pid) => ({ pid: Number(pid), isStopped: isStopped(processState(Number(pid))) }));

/** The title of a server process: 'checkpointer', 'app app 127.0.0.1(41234) idle'. */
export const titleOf = (pid: number): string =>
  proc(`${pid}/cmdline`)
    .replaceAll('\0', ' ')
    .trim()
    .replace(/^postgres: /, '') || 'a process';

/** The use that a process has made of the machine so far: processor time, and memory of its own, which is not the server's shared memory (proc(5)). Zeroes where there is no /proc. */
export function effortOf(pid: number): { readonly processorMs: number; readonly ownBytes: number } {
  const fields = proc(`${pid}/stat`).split(') ').at(-1)!.split(' ');
  const kibibytes = /^RssAnon:\s+(\d+) kB$/m.exec(proc(`${pid}/status`))?.[1];
  return { processorMs: (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK_MS, ownBytes: Number(kibibytes ?? 0) * 1024 };
}

/** USER_HZ, which Linux shows to every program alike. */
const TICK_MS = 10;

/** A pid that was left behind may be another program's by now, as after a container's restart; unknown where there is no /proc. */
const isSomebodyElse = (pid: number): boolean => !['', 'postgres', 'postmaster'].includes(proc(`${pid}/comm`).trim());

/** Stopped by a signal, or by a tracer (proc(5)). */
const isStopped = (state: string | undefined): boolean => state === 'T' || state === 't';

/** The state letter of /proc/PID/stat; undefined when there is no such process. Without /proc a process that takes signals counts as running. */
function processState(pid: number): string | undefined {
  const state = proc(`${pid}/stat`).split(') ').at(-1)?.[0];
  if (state !== undefined) return state === 'Z' ? undefined : state;
  try {
    process.kill(pid, 0);
    return 'R';
  } catch (cause) {
    return errnoOf(cause) === 'EPERM' ? 'R' : undefined;
  }
}

/** Synchronously: the kernel answers from memory, sooner than a promise is made. Empty when there is no such file. */
function proc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return '';
  }
}
