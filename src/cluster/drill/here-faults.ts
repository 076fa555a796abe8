import { DbkitError } from '../../kernel/errors.ts';
import type { Clock, SpawnChild } from '../../kernel/machine.ts';
import { PATH } from '../local/programs.ts';
import { childrenOf, lives, type ProcessMark, signalTo, startedTicks } from '../processes.ts';
import type { DrillName } from './drills.ts';
import { AFTER_LEASE_MS } from './faults.ts';
import type { LeaderHere } from './here-rows.ts';
import type { Mend } from './measure.ts';

/** A leader that may be harmed, and is mended. */
export interface VictimHere {
  readonly clock: Clock;
  readonly spawn: SpawnChild;
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
    signalTo(leader!.server, 'SIGKILL'); // Patroni starts it again, or another member takes over.
    return nothing;
  },
  'patroni-killed': async ({ leader }) => {
    signalTo(leader!.patroni!, 'SIGKILL'); // Its guard starts another.
    return nothing;
  },
  'patroni-hung': async ({ leader }) => {
    const mark = await markOf(leader!.patroni!);
    signalTo(mark.pid, 'SIGSTOP');
    return async () => {
      if (await lives(mark)) signalTo(mark.pid, 'SIGKILL'); // Never continued: it would take back a lock that it has lost. Its guard starts another.
    };
  },
  freeze,
};

/** All that is the leader's stands still until after its lease. A process of its own wakes it where this one is killed meanwhile. */
async function freeze({ leader, clock, spawn, ttlSeconds }: VictimHere, signal: AbortSignal): Promise<Mend> {
  const { guard, patroni, server } = leader!;
  const pids = [guard!, patroni!, server, ...(await childrenOf(server))];
  const standsMs = ttlSeconds * 1000 + AFTER_LEASE_MS;
  const words = `sleep ${Math.ceil(standsMs / 1000) + WAKE_AFTER_SECONDS}; kill -CONT ${pids.join(' ')} 2>/dev/null`;
  const output = { appendTo: '/dev/null' };
  const waker = await spawn({ file: '/bin/sh', args: ['-c', words], env: { PATH }, output, newSession: true, outlivesDbkit: true });
  try {
    for (const pid of pids) signalTo(pid, 'SIGSTOP');
    await clock.sleep(standsMs, signal);
  } finally {
    for (const pid of pids) signalTo(pid, 'SIGCONT');
    signalTo(-waker.pid, 'SIGTERM'); // With its sleep.
  }
  return nothing;
}

async function markOf(pid: number): Promise<ProcessMark> {
  const ticks = await startedTicks(pid);
  if (ticks !== undefined) return { pid, startedTicks: ticks };
  throw new DbkitError('service.failed', 'the Patroni of the leader is not there to be harmed', {
    hint: 'look at the cluster and try again: `dbkit ha status`',
  });
}
