import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import type { Files, Identity, Locks, Runner, SpawnChild } from '../../kernel/machine.ts';
import type { ClusterNeeds } from '../look.ts';
import { lastLines } from '../member/last-lines.ts';
import { until } from '../proof.ts';
import { memberDocument, poolerText, routerText, storeDocument } from '../render/documents.ts';
import type { ClusterPlan } from '../render/plan.ts';
import { checkCluster } from '../report.ts';
import { readJournal } from '../restoring/journal.ts';
import { endLocal } from './down.ts';
import { memberConfiguration, memberState } from './local-member.ts';
import { localPlan, memberName, portsTaken } from './local-plan.ts';
import { type LocalState, localFolder, localNeeds, readLocal, runningOf } from './local-state.ts';
import { findPrograms, refuseTakenPorts } from './programs.ts';
import { canBeRunBy, type Starting, startAll } from './start.ts';

export interface LocalNeeds extends Omit<ClusterNeeds, 'config'> {
  readonly config: Pick<Config, 'ha' | 'postgresql' | 'stateDir'>;
  readonly files: Files;
  readonly locks: Locks;
  readonly runner: Runner;
  readonly spawn: SpawnChild;
  readonly instance: { owner(): Promise<Identity> };
}

export interface LocalWanted {
  readonly members: number;
  /** The first of its ports. */
  readonly port: number;
  /** dbkit itself: a program and its first arguments. */
  readonly program: readonly string[];
  /** Archives WAL, and makes replicas of backups; default: yes, where the servers' user can run dbkit. */
  readonly backups?: boolean;
  /** Patroni runs alone, to compare with. */
  readonly unguarded?: true;
  /** Each member gets a network of its own, which must be there (networks.ts). */
  readonly apart?: true;
}

export interface LocalUp {
  readonly folder: string;
  readonly members: readonly string[];
  readonly writeAddress: string;
  readonly readAddress: string;
  readonly pooler: string;
  /** From the call until a commit through the write address was acknowledged and every replica streamed. */
  readonly seconds: number;
}

const UP_MS = 120_000;
/** sun_path holds 107 bytes, and '/run/.s.PGSQL.16411' comes after the folder (unix(7)). */
const FOLDER_BYTES_MAX = 85;

/**
 * Starts a whole cluster on this machine: etcd, Patroni with its servers, HAProxy, PgBouncer. Resolves when it is well: one leader, every replica
 * streams, a commit through the write address is acknowledged. What is not well after two minutes is ended again. Rejects with `server.running`
 * where it runs already, `port.in-use`, `program.missing`. One that was stopped goes on with its data.
 */
export async function upLocal(needs: LocalNeeds, { program, backups = true, ...wish }: LocalWanted, signal: AbortSignal): Promise<LocalUp> {
  const begunMs = needs.clock.monotonicMs();
  const folder = localFolder(needs.config);
  if (Buffer.byteLength(folder) > FOLDER_BYTES_MAX)
    throw new DbkitError('config.invalid', `the path ${folder} is too long for the sockets of PostgreSQL`, {
      hint: 'set DBKIT_STATE_DIR to a shorter path',
    });
  const owner = await needs.instance.owner();
  const programs = await findPrograms(needs.config, needs.runner, signal);
  for (const path of [needs.config.stateDir, folder, join(folder, 'run')]) await needs.files.makeDirectory(path, { mode: 0o700, owner });
  const lock = await needs.locks.acquire(join(folder, 'lock'), 'dbkit ha up --local', owner);
  try {
    await refuseUnfinished(needs.files, folder);
    const state = await nextState(needs, folder, wish);
    const hasBackups = backups && (await canBeRunBy(owner, program));
    const plan = localPlan({ folder, ...programs, ...state, program: hasBackups ? program : undefined }, needs.config);
    if (!state.apart) await refuseTakenPorts(portsTaken(plan));
    await writeFiles(needs, plan, { folder, programs, state });
    try {
      await startAll(needs, { folder, plan, programs, state, owner, program });
      const here = localNeeds(needs, state);
      const isWell = async (bounded: AbortSignal): Promise<boolean> => (await checkCluster(here, bounded)).status === 'ok';
      await until('the local cluster is well', { timeoutMs: UP_MS, clock: needs.clock, signal }, isWell);
    } catch (cause) {
      await endLocal(needs, folder);
      if (signal.aborted) throw cause;
      const last = await lastLines(join(memberState(folder, memberName(0)), 'patroni.log'), 1);
      const said = last === '' ? '' : `; Patroni of ${memberName(0)} said last: ${last}`;
      throw new DbkitError('service.failed', `the local cluster did not come up: ${wordsOf(cause)}${said}`, {
        hint: `read the logs in ${folder}; what was started has been ended`,
        cause,
      });
    }
    return reportOf(plan, folder, Math.round(needs.clock.monotonicMs() - begunMs) / 1000);
  } finally {
    await lock.release();
  }
}

const reportOf = ({ members, writes, reads, pooler }: ClusterPlan, folder: string, seconds: number): LocalUp => ({
  folder,
  members: members.map(({ name }) => name),
  writeAddress: `${writes.host}:${writes.port}`,
  readAddress: `${reads.host}:${reads.port}`,
  pooler: `${pooler.host}:${pooler.port}`,
  seconds,
});

/** Its members' data is set aside, and Patroni would begin an empty cluster. */
async function refuseUnfinished(files: Files, folder: string): Promise<void> {
  const journal = await readJournal(files, folder);
  if (journal === undefined) return;
  throw new DbkitError('recovery.refused', `a restore of this cluster from ${journal.plan.label} is not finished`, {
    hint: '`dbkit ha restore` goes on with it; nothing was changed',
  });
}

/** One that was stopped keeps its size, its ports and its password. */
async function nextState(
  { files }: LocalNeeds,
  folder: string,
  wish: Pick<LocalState, 'members' | 'port' | 'unguarded' | 'apart'>,
): Promise<LocalState> {
  const before = await readLocal(files, folder);
  if (before === undefined) return { schema: 'dbkit.ha-cluster/v1', ...wish, password: randomBytes(24).toString('hex'), processes: [] };
  const running = await runningOf(before);
  if (running.length > 0)
    throw new DbkitError('server.running', `the local cluster runs already: ${running.map(({ name }) => name).join(', ')}`, {
      hint: 'look at it with `dbkit ha status --local`, or stop it with `dbkit ha down --local`',
    });
  if (before.members !== wish.members)
    throw new DbkitError('usage.invalid', `the local cluster in ${folder} has ${before.members} members`, {
      hint: `add --members ${before.members}, or move that folder away for a new one`,
    });
  return { ...before, port: wish.port, processes: [] };
}

export async function writeFiles(
  needs: LocalNeeds,
  plan: ClusterPlan,
  { folder, programs, state }: Pick<Starting, 'folder' | 'programs' | 'state'>,
): Promise<void> {
  const { files } = needs;
  const { password } = state;
  const write = (name: string, text: string): Promise<void> => files.write(join(folder, name), text, { mode: 0o600 });
  const { ha } = localNeeds(needs, state).config;
  for (const member of plan.members) {
    await write(`${member.name}.yml`, JSON.stringify(memberDocument(plan, member), null, 1)); // YAML is a superset of JSON.
    await write(`${member.name}.json`, JSON.stringify(memberConfiguration(member, { folder, programs }, ha), null, 1));
  }
  await write('etcd.yml', JSON.stringify(storeDocument(plan, plan.stores[0]!), null, 1));
  await write('haproxy.cfg', routerText(plan));
  await write('pgbouncer.ini', poolerText(plan));
  await write('userlist.txt', `"${plan.superuser}" "${password}"\n`);
}
