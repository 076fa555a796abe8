import { join } from 'node:path';
import { serverOn } from '../../instance/guard/preflight.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Clock, Files } from '../../kernel/machine.ts';
import { memberState } from '../local/local-member.ts';
import { readLocal } from '../local/local-state.ts';
import { leftPatroni } from '../member/orphan.ts';
import { childrenOf, signalTo } from '../processes.ts';
import type { DrillName } from './drills.ts';
import type { Mend } from './measure.ts';

/** A local cluster that may be harmed. */
export interface Victim {
  readonly folder: string;
  readonly files: Pick<Files, 'readJson'>;
  readonly clock: Clock;
  readonly ttlSeconds: number;
  /** The leader, and the replica that must be there for a commit. */
  readonly leader: string;
  readonly synchronous: string | undefined;
  readonly members: readonly string[];
  /** Nobody starts its Patroni again but a person. */
  readonly unguarded: boolean;
  startMember(name: string): Promise<void>;
  /** Cuts a member off from all others, or mends that. */
  cutOff(name: string, isCut: boolean): Promise<void>;
  switchover(signal: AbortSignal): Promise<unknown>;
}

const nothing: Mend = async () => undefined;
const STORE_DOWN_MS = 30_000;
/** A freeze is longer than the lease by so much. */
export const AFTER_LEASE_MS = 8_000;
/** After the lease, a person comes, where no guard does. */
const PERSON_MS = 20_000;

/** Brings the disaster about. Resolves when it is there, or over where it ends by itself. */
export const faults: Readonly<Record<DrillName, (victim: Victim, signal: AbortSignal) => Promise<Mend>>> = {
  'leader-node': (victim) => killNode(victim, victim.leader),
  postmaster: async (victim) => {
    const [pid] = await serverProcesses(victim, victim.leader);
    signalTo(there(pid, `server of ${victim.leader}`), 'SIGKILL');
    return nothing;
  },
  'patroni-killed': async (victim, signal) => {
    await signalPatroni(victim, victim.leader, 'SIGKILL');
    return byPerson(victim, signal, () => victim.startMember(victim.leader));
  },
  'patroni-hung': async (victim, signal) => {
    const pid = await signalPatroni(victim, victim.leader, 'SIGSTOP');
    return byPerson(victim, signal, async () => signalTo(pid, 'SIGCONT'));
  },
  freeze: async (victim, signal) => {
    const pids = await processesOf(victim, victim.leader);
    for (const pid of pids) signalTo(pid, 'SIGSTOP');
    try {
      await victim.clock.sleep(victim.ttlSeconds * 1000 + AFTER_LEASE_MS, signal);
    } finally {
      for (const pid of pids) signalTo(pid, 'SIGCONT');
    }
    return nothing;
  },
  'etcd-down': async (victim, signal) => {
    const pid = there(await programOf(victim, 'etcd'), 'etcd');
    signalTo(pid, 'SIGSTOP');
    try {
      await victim.clock.sleep(STORE_DOWN_MS, signal);
    } finally {
      signalTo(pid, 'SIGCONT');
    }
    return nothing;
  },
  partition: async (victim) => {
    await victim.cutOff(victim.leader, true);
    return () => victim.cutOff(victim.leader, false);
  },
  'replica-lost': (victim) => killNode(victim, victim.synchronous ?? victim.members.find((name) => name !== victim.leader)!),
  'cold-start': async (victim) => {
    const pids = await Promise.all(victim.members.map((name) => processesOf(victim, name)));
    for (const pid of pids.flat()) signalTo(pid, 'SIGKILL');
    for (const name of victim.members) await victim.startMember(name);
    return nothing;
  },
  'switchover-under-load': async (victim, signal) => {
    await victim.switchover(signal);
    return nothing;
  },
};

/** The guard needs nobody. */
function byPerson({ unguarded, clock, ttlSeconds }: Victim, signal: AbortSignal, mend: Mend): Mend {
  const comesMs = clock.monotonicMs() + ttlSeconds * 1000 + PERSON_MS;
  return unguarded ? () => clock.sleep(Math.max(0, comesMs - clock.monotonicMs()), signal).then(mend) : nothing;
}

async function killNode(victim: Victim, name: string): Promise<Mend> {
  const pids = await processesOf(victim, name);
  there(pids[0], `node ${name}`);
  for (const pid of pids) signalTo(pid, 'SIGKILL');
  return () => victim.startMember(name);
}

/** Its dbkit first, which would start the others again. */
async function processesOf(victim: Victim, name: string): Promise<readonly number[]> {
  const supervisor = await programOf(victim, name);
  const patroni = await leftPatroni(memberState(victim.folder, name));
  return [
    ...(supervisor === undefined ? [] : [supervisor]),
    ...(patroni === undefined ? [] : [patroni.pid]),
    ...(await serverProcesses(victim, name)),
  ];
}

async function serverProcesses({ folder }: Victim, name: string): Promise<readonly number[]> {
  const server = await serverOn(join(folder, name));
  return typeof server === 'object' ? [server.pid, ...(await childrenOf(server.pid))] : [];
}

/** A member without dbkit is its Patroni. */
async function signalPatroni(victim: Victim, name: string, signal: NodeJS.Signals): Promise<number> {
  const patroni = await leftPatroni(memberState(victim.folder, name));
  const pid = there(patroni?.pid ?? (await programOf(victim, name)), `Patroni of ${name}`);
  signalTo(pid, signal);
  return pid;
}

/** A disaster that did not come must not pass as one that was survived. */
function there(pid: number | undefined, what: string): number {
  if (pid === undefined)
    throw new DbkitError('service.failed', `the ${what} is not there to be harmed`, {
      hint: 'run the drill again; `dbkit ha down --local` clears up',
    });
  return pid;
}

const programOf = async ({ files, folder }: Victim, name: string): Promise<number | undefined> =>
  (await readLocal(files, folder))?.processes.find((one) => one.name === name)?.pid;
