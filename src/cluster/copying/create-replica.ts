import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseBackups } from '../../backups/backup.ts';
import { createBackups } from '../../backups/backups.ts';
import type { PointRequest } from '../../backups/base/points/point.ts';
import { findBackup, requireBase } from '../../backups/find-backup.ts';
import type { Config } from '../../config/config.ts';
import type { Inspect } from '../../inspection/report.ts';
import { serverOn } from '../../instance/guard/preflight.ts';
import { clusterEntries } from '../../instance/volume.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Identity, System } from '../../kernel/machine.ts';
import { namesIn } from '../../machine/is-there.ts';
import { setMemberAside } from '../member/set-aside-member.ts';
import { askSource } from './ask-source.ts';
import { calledByPatroni } from './called-by-patroni.ts';
import { chooseBackups } from './choose-backup.ts';

export interface CopyingNeeds {
  readonly config: Config;
  readonly system: System;
  readonly inspect: Inspect;
}

/** How Patroni calls a method of `create_replica_methods` (postgresql/bootstrap.py, create_replica). */
export interface ReplicaWish {
  readonly dataDir: string;
  /** Empty: nobody leads. */
  readonly connstring: string;
  /** PGPASSFILE. */
  readonly passwordFile: string | undefined;
}

export interface ReplicaReport {
  readonly label: string;
  readonly dataDir: string;
  readonly sizeBytes: number;
  /** Where the data that was there has gone; null: there was none. */
  readonly quarantine: string | null;
  /** Backups that are newer, and why they were not used. */
  readonly refused: readonly { readonly label: string; readonly reason: string; readonly because: string }[];
  readonly durationMs: number;
}

/**
 * Makes a member's data from the newest base backup that leads to the leader; Patroni sets its recovery up and starts it. Whatever was in the data
 * directory is set aside first, also where no backup fits then: Patroni's next method would remove it. Rejects with `backup.missing` where none
 * fits, `recovery.refused` for data while nobody leads, `server.running`.
 */
export async function createReplica(needs: CopyingNeeds, wish: ReplicaWish, signal: AbortSignal): Promise<ReplicaReport> {
  const call = { command: 'create-replica', dataDir: wish.dataDir } as const;
  return calledByPatroni(call, needs, signal, (owner, bounded) => makeReplica(needs, wish, owner, bounded));
}

async function makeReplica(needs: CopyingNeeds, wish: ReplicaWish, owner: Identity, signal: AbortSignal): Promise<ReplicaReport> {
  const { config, system } = needs;
  const begunMs = system.clock.monotonicMs();
  const quarantine = await makeRoom(needs, wish, owner, signal);
  const source = wish.connstring === '' ? null : await askSource(wish.connstring, wish.passwordFile, signal);
  const { fitting, refused } = await chooseBackups(needs, source, config.postgresql.version, signal);
  const told = refused.map(({ label, because }) => `${label}: ${because}`).join('; ');
  const backups = createBackups({ config, system, dataDir: wish.dataDir, owner });
  const damaged: ReplicaReport['refused'][number][] = [];
  for (const label of fitting) {
    const found = requireBase(await findBackup({ backups }, label, signal));
    const problem = await stageWhole(found.of, found.backup, { directory: wish.dataDir, point: undefined }, signal);
    if (problem === undefined) {
      const durationMs = Math.round(system.clock.monotonicMs() - begunMs);
      const newer = [...refused, ...damaged].filter((one) => one.label > label);
      return { label, dataDir: wish.dataDir, sizeBytes: found.backup.sizeBytes, quarantine, refused: newer, durationMs };
    }
    system.log.warn('replica.backup-damaged', `${problem}; an older backup is tried`);
    damaged.push({ label, reason: 'replica-damaged-backup', because: problem });
  }
  throw new DbkitError('backup.missing', `no base backup in ${config.backupDir} fits${told === '' ? ': there is none' : `: ${told}`}`, {
    hint: 'nothing to do: Patroni uses its next method; `dbkit backup create` on a member takes a backup for the next time',
  });
}

/** Nothing is removed: whatever is there is set aside whole. */
async function makeRoom(
  { config, system, inspect }: CopyingNeeds,
  { dataDir, connstring }: ReplicaWish,
  owner: Identity,
  signal: AbortSignal,
): Promise<string | null> {
  if (typeof (await serverOn(dataDir)) === 'object')
    throw new DbkitError('server.running', `a server runs on ${dataDir}`, { hint: 'stop it first; nothing was changed' });
  if ((await clusterEntries(dataDir)).length === 0) return null;
  if (connstring === '')
    throw new DbkitError('recovery.refused', `${dataDir} holds data and nobody leads, so it may be all that is left`, {
      hint: '`dbkit inspect` shows what it is, `dbkit ha why-not` who could lead; nothing was changed',
    });
  const report = await inspect({ deep: false }, signal).catch(() => undefined);
  signal.throwIfAborted();
  const damage = report?.findings.filter(({ severity }) => severity === 'certain') ?? [];
  const kind = report?.state === 'cluster' && damage.length === 0 ? 'replaced' : 'corrupt';
  const quarantine = await setMemberAside({ dataDir, backupDir: config.backupDir, owner, kind }, system);
  const found = damage.length === 0 ? '' : `; found in it: ${damage.map(({ code, path }) => `${code} (${path})`).join(', ')}`;
  system.log.warn('replica.set-aside', `the data that was in ${dataDir} is now in ${quarantine}${found}`, { quarantine });
  return quarantine;
}

/** Words where the backup is damaged: what was copied of it is taken away again. */
export async function stageWhole(
  of: BaseBackups,
  backup: Parameters<BaseBackups['stage']>[0],
  { directory, point }: { readonly directory: string; readonly point: PointRequest | undefined },
  signal: AbortSignal,
): Promise<string | undefined> {
  const before = new Set(await namesIn(directory));
  try {
    await of.stage(backup, { directory, walFrom: undefined, leavesRecovery: true, point }, signal);
    return undefined;
  } catch (cause) {
    for (const name of await namesIn(directory).catch(() => []))
      if (!before.has(name)) await rm(join(directory, name), { recursive: true, force: true });
    if (cause instanceof DbkitError && cause.code === 'data.corrupt') return cause.message;
    throw cause;
  }
}
