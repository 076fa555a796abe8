import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import type { Clock, Logger, SpawnChild } from '../../kernel/machine.ts';
import { PATH } from '../local/programs.ts';
import { childrenOf, markOf, type ProcessMark, signalMarked, signalTo } from '../processes.ts';
import type { DrillName } from './drills.ts';
import { AFTER_LEASE_MS } from './faults.ts';
import type { LeaderHere } from './here-rows.ts';
import type { Mend } from './measure.ts';

/** A leader that may be harmed, and is mended. */
export interface VictimHere {
  readonly clock: Clock;
  readonly spawn: SpawnChild;
  readonly log: Pick<Logger, 'warn'>;
  readonly ttlSeconds: number;
  /** null: no process is harmed. */
  readonly leader: LeaderHere | null;
  switchover(signal: AbortSignal): Promise<unknown>;
}

type Fault = (victim: VictimHere, signal: AbortSignal) => Promise<Mend>;

const nothing: Mend = async () => undefined;
/** Longer than a freeze takes: whoever wakes them does it then, or nobody else did. */
const WAKE_AFTER_SECONDS = 15;

/** Those that dbkit can both do and undo on a real cluster; each resolves with its undoing, for where nobody has mended it. */
export const hereFaults: Readonly<Partial<Record<DrillName, Fault>>> = {
  'switchover-under-load': async (victim, signal) => {
    await victim.switchover(signal);
    return nothing;
  },
  postmaster: async ({ leader }) => {
    await harm(leader!.server, 'SIGKILL'); // Patroni starts it again, or another member takes over.
    return nothing;
  },
  'patroni-killed': async ({ leader }) => {
    await harm(leader!.patroni!, 'SIGKILL'); // Its guard starts another.
    return nothing;
  },
  'patroni-hung': async ({ leader }) => {
    const mark = leader!.patroni!;
    await harm(mark, 'SIGSTOP');
    return async () => {
      await signalMarked(mark, 'SIGKILL'); // Never continued: it would take back a lock that it has lost. Its guard starts another.
    };
  },
  freeze,
};

/** Rejects where the process is gone: nothing would come over the cluster. */
async function harm(mark: ProcessMark, name: 'SIGKILL' | 'SIGSTOP'): Promise<void> {
  if (await signalMarked(mark, name)) return;
  throw new DbkitError('service.failed', 'a process of the leader is gone that was to be harmed', {
    hint: 'look at the cluster and try again: `dbkit ha status`',
  });
}

/** Wakes the process PID where it began at TICKS (proc(5), field 22 of /proc/PID/stat): a pid may be another program's by then. */
const WAKE = `wake() { [ "$(sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f20)" = "$2" ] && kill -CONT "$1"; }`;

/** For a shell that wakes them after so many seconds. */
export const wakingWords = (marks: readonly ProcessMark[], afterSeconds: number): string =>
  [`sleep ${afterSeconds}`, WAKE, ...marks.map(({ pid, startedTicks }) => `wake ${pid} ${startedTicks}`)].join('; ');

/** All that is the leader's stands still until after its lease. A process of its own wakes it where this one is killed meanwhile. */
async function freeze({ leader, clock, spawn, log, ttlSeconds }: VictimHere, signal: AbortSignal): Promise<Mend> {
  const { guard, patroni, server } = leader!;
  const chief = [guard!, patroni!, server];
  const children = (await Promise.all((await childrenOf(server.pid)).map(markOf))).filter((mark) => mark !== undefined);
  const marks = [...chief, ...children];
  const standsMs = ttlSeconds * 1000 + AFTER_LEASE_MS;
  const words = wakingWords(marks, Math.ceil(standsMs / 1000) + WAKE_AFTER_SECONDS);
  const output = { appendTo: '/dev/null' };
  const waker = await spawn({ file: '/bin/sh', args: ['-c', words], env: { PATH }, output, newSession: true, outlivesDbkit: true });
  try {
    for (const mark of chief) await harm(mark, 'SIGSTOP');
    for (const mark of children) await signalMarked(mark, 'SIGSTOP');
    await clock.sleep(standsMs, signal);
  } finally {
    for (const mark of marks) await wake(mark, log);
    signalTo(-waker.pid, 'SIGTERM'); // With its sleep.
  }
  return nothing;
}

/** One that cannot be woken keeps no other one asleep. */
async function wake(mark: ProcessMark, log: VictimHere['log']): Promise<void> {
  try {
    await signalMarked(mark, 'SIGCONT');
  } catch (cause) {
    log.warn('ha.drill', `process ${mark.pid} of the leader could not be woken (${wordsOf(cause)}): type \`kill -CONT ${mark.pid}\``);
  }
}
