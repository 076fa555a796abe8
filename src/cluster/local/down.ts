import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { serverOn } from '../../instance/guard/preflight.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Clock, Files, Locks } from '../../kernel/machine.ts';
import { isThere } from '../../machine/is-there.ts';
import { leftPatroni } from '../member/orphan.ts';
import { lives, signalTo } from '../processes.ts';
import { memberState } from './local-member.ts';
import { memberName } from './local-plan.ts';
import { type LocalState, localFolder, readLocal, runningOf, writeLocal } from './local-state.ts';

export interface LocalDown {
  readonly folder: string;
  /** The programs that ran and were ended; none where nothing ran. */
  readonly stopped: readonly string[];
}

interface Needs {
  readonly clock: Clock;
  readonly files: Pick<Files, 'readJson' | 'write'>;
}

const PATRONI_MS = 60_000;
const OTHERS_MS = 10_000;
const EVERY_MS = 100;

/** Ends the programs of the local cluster, and only those; its data stays. Rejects with `service.failed` where one does not end. */
export async function downLocal(needs: Needs & { readonly config: Pick<Config, 'stateDir'>; readonly locks: Locks }): Promise<LocalDown> {
  const folder = localFolder(needs.config);
  if (!(await isThere(folder))) return { folder, stopped: [] };
  const lock = await needs.locks.acquire(join(folder, 'lock'), 'dbkit ha down');
  try {
    return await endLocal(needs, folder);
  } finally {
    await lock.release();
  }
}

/** The same; it is not interrupted, since half a cluster is of no use. */
export async function endLocal(needs: Needs, folder: string): Promise<LocalDown> {
  const state = await readLocal(needs.files, folder);
  if (state === undefined) return { folder, stopped: [] };
  const running = await runningOf(state);
  await endMembers(needs, folder, state);
  await end(
    needs,
    running.filter((one) => !isMember(one)),
    OTHERS_MS,
  );
  await writeLocal(needs.files, folder, { ...state, processes: [] });
  return { folder, stopped: running.map(({ name }) => name) };
}

const isMember = ({ name }: { readonly name: string }): boolean => /^n\d+$/.test(name);

/** Only its members, with their servers, however they were left; `leader` as the last. Rejects with `service.failed` where one does not end. */
export async function endMembers(needs: Needs, folder: string, state: LocalState, leader?: string): Promise<void> {
  const running = (await runningOf(state)).filter(isMember);
  await end(
    needs,
    running.filter(({ name }) => name !== leader),
    PATRONI_MS,
  ); // Patroni stops its server first.
  await end(
    needs,
    running.filter(({ name }) => name === leader),
    PATRONI_MS,
  ); // It would hand over to one of the others.
  for (let index = 0; index < state.members; index += 1) {
    const name = memberName(index);
    await endLeftPatroni(needs, memberState(folder, name));
    await endServer(needs, join(folder, name));
    if (typeof (await serverOn(join(folder, name))) === 'object')
      throw new DbkitError('service.failed', `the server of ${name} does not end`, {
        hint: 'look at its log, then try again',
        changed: true,
      });
  }
  await writeLocal(needs.files, folder, { ...state, processes: state.processes.filter((one) => !isMember(one)) });
}

type Process = LocalState['processes'][number];

async function end(needs: Needs, processes: readonly Process[], politelyMs: number): Promise<void> {
  for (const one of processes) await tell(one, 'SIGCONT'); // One that was stopped hears nothing else.
  for (const one of processes) await tell(one, 'SIGTERM');
  for (const one of processes)
    if (!(await gone(needs, async () => !(await lives(one)), politelyMs))) {
      await tell(one, 'SIGKILL');
      if (!(await gone(needs, async () => !(await lives(one)), OTHERS_MS)))
        throw new DbkitError('service.failed', `${one.name} (pid ${one.pid}) does not end`, {
          hint: 'look at its log; then type `dbkit ha down --local` again',
          changed: true,
        });
    }
}

async function tell(one: Process, name: NodeJS.Signals): Promise<void> {
  if (await lives(one)) signalTo(one.pid, name);
}

/** Its dbkit may have been killed. */
async function endLeftPatroni(needs: Needs, stateDir: string): Promise<void> {
  const left = await leftPatroni(stateDir);
  if (left !== undefined) await end(needs, [{ name: 'Patroni', ...left }], PATRONI_MS);
}

/** A paused Patroni leaves its server alone, and so does one that was killed. */
async function endServer(needs: Needs, dataDir: string): Promise<void> {
  for (const name of ['SIGINT', 'SIGQUIT'] as const) {
    const server = await serverOn(dataDir);
    if (typeof server !== 'object') return;
    signalTo(server.pid, name); // Fast, then immediate (pg_ctl).
    await gone(needs, async () => typeof (await serverOn(dataDir)) !== 'object', OTHERS_MS);
  }
}

async function gone({ clock }: Needs, isGone: () => Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const endMs = clock.monotonicMs() + timeoutMs;
  while (!(await isGone())) {
    if (clock.monotonicMs() >= endMs) return false;
    await clock.sleep(EVERY_MS, new AbortController().signal);
  }
  return true;
}
