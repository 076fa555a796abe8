import { join } from 'node:path';
import type { Files, Identity, Logger, SpawnChild } from '../../kernel/machine.ts';
import { reachableByOthers } from '../../machine/local-folder.ts';
import { startedTicks } from '../processes.ts';
import { type Command, guardedMember, type MemberSetting, plainMember } from './local-member.ts';
import { type LocalState, readLocal, writeLocal } from './local-state.ts';
import { inNetwork } from './networks.ts';
import { PATH } from './programs.ts';

interface Needs {
  readonly spawn: SpawnChild;
  readonly files: Pick<Files, 'readJson' | 'write'>;
  readonly log: Pick<Logger, 'warn'>;
}

export interface Starting extends Omit<MemberSetting, 'env'> {
  readonly owner: Identity;
}

/** Each one is written down as soon as it runs, so that `dbkit ha down` finds it whatever happens to this process. */
export async function startAll(needs: Needs, starting: Starting): Promise<void> {
  let processes: LocalState['processes'] = [];
  for (const command of await commandsOf(needs, starting)) {
    processes = [...processes, await startOne(needs, command, starting)];
    await writeLocal(needs.files, starting.folder, { ...starting.state, processes });
  }
}

/** The same for one member that has died. */
export async function startMember(needs: Needs, starting: Starting, name: string): Promise<void> {
  const command = (await commandsOf(needs, starting)).find((one) => one.name === name)!;
  const started = await startOne(needs, command, starting);
  const state = (await readLocal(needs.files, starting.folder)) ?? starting.state;
  await writeLocal(needs.files, starting.folder, { ...state, processes: [...state.processes.filter((one) => one.name !== name), started] });
}

async function commandsOf({ log }: Needs, starting: Starting): Promise<readonly Command[]> {
  const { folder, plan, programs, owner, program, state } = starting;
  const env = { PATH, LC_ALL: 'C.UTF-8', HOME: folder };
  const canBeGuarded = await canBeRunBy(owner, program);
  if (!canBeGuarded && !state.unguarded)
    log.warn('ha.unguarded', `${owner.name} cannot read dbkit's program, so Patroni runs without its guard here`);
  const memberOf = canBeGuarded && !state.unguarded ? guardedMember : plainMember;
  return [
    { name: 'etcd', file: programs.etcd, args: ['--config-file', join(folder, 'etcd.yml')], env },
    ...plan.members.map((member) => memberOf(member, { ...starting, env })),
    { name: 'haproxy', file: programs.haproxy, args: ['-db', '-f', join(folder, 'haproxy.cfg')], env },
    { name: 'pgbouncer', file: programs.pgbouncer, args: ['-q', join(folder, 'pgbouncer.ini')], env },
  ];
}

async function startOne(
  { spawn }: Needs,
  wanted: Command,
  { folder, owner, state, plan }: Starting,
): Promise<LocalState['processes'][number]> {
  const { name } = wanted;
  const isMember = plan.members.some((member) => member.name === name);
  const command = state.apart ? inNetwork(wanted, { port: state.port, isMember }, owner) : wanted;
  const as = state.apart ? undefined : owner; // Only root may enter a network; nsenter becomes the owner.
  const output = { appendTo: join(folder, `${name}.log`) };
  const { pid } = await spawn({ ...command, cwd: folder, as, output, newSession: true, outlivesDbkit: true });
  return { name, pid, startedTicks: (await startedTicks(pid)) ?? '' };
}

/** Its user must reach node and dbkit: they may lie in root's own folder. */
export async function canBeRunBy({ uid }: Identity, program: readonly string[]): Promise<boolean> {
  if (process.getuid?.() === uid) return true;
  const paths = program.filter((word) => word.startsWith('/'));
  return (await Promise.all(paths.map(reachableByOthers))).every(Boolean);
}
