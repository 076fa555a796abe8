import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import type { PatroniSettings } from '../../config/ha-settings.ts';
import { serverOn } from '../../instance/guard/preflight.ts';
import { claimDirectory, claimLogDirectory, serverOwner } from '../../instance/owner.ts';
import { writableLog } from '../../instance/server-log-file.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { HeldLock, Identity, System } from '../../kernel/machine.ts';
import type { RunningService } from '../../kernel/running-service.ts';
import type { Recover } from '../../recovery/report.ts';
import { createPatroni } from '../patroni.ts';
import { admitData } from './admit-data.ts';
import { type MemberFile, readMemberFile } from './member-file.ts';
import { endOrphan } from './orphan.ts';
import { runMember } from './run-member.ts';
import { stopStale } from './stale.ts';
import { noteBegun, takeUpUnfinished } from './unfinished.ts';

export interface MemberOptions {
  readonly config: Config;
  /** services.patroni of the configuration. */
  readonly settings: PatroniSettings;
  readonly system: System;
  /** The ladder's decision about the data; only asked, never carried out here. */
  readonly recover: Recover;
  /** Of the caller: Patroni's own variables are handed on to it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** One member of a cluster on this machine: its data before Patroni starts, and Patroni with its guard. */
export interface LocalMember {
  prepare(signal: AbortSignal): Promise<void>;
  start(signal: AbortSignal): Promise<RunningService>;
}

/** Everything about one start. */
export interface Member {
  readonly options: MemberOptions;
  readonly file: MemberFile;
  readonly owner: Identity;
  readonly log: string;
  /** The lock was proven to be this member's, so its server may go on. */
  readonly isLeaseHeld: boolean;
}

export function createMember(options: MemberOptions): LocalMember {
  let lock: HeldLock | undefined;
  let member: Member | undefined;
  const release = async (): Promise<void> => {
    await lock?.release();
    lock = undefined;
  };
  return {
    prepare: async (signal) => {
      const { config, system } = options;
      const file = await readMemberFile(options.settings.config, options.environment);
      refuseOtherData(file, config);
      const owner = await serverOwner(config.postgresql, system);
      await claimAll(config, owner, system, signal);
      lock ??= await system.locks.acquire(join(config.stateDir, 'patroni.lock'), 'dbkit', owner);
      try {
        member = await prepareMember(options, { file, owner }, signal);
      } catch (cause) {
        await release();
        throw cause;
      }
    },
    start: async (signal) => {
      const running = await runMember(member!, signal).catch(async (cause: unknown) => {
        await release();
        throw cause;
      });
      void running.exited.finally(release);
      return running;
    },
  };
}

function refuseOtherData({ dataDir }: MemberFile, { postgresql }: Config): void {
  if (join(dataDir, '.') === join(postgresql.dataDir, '.')) return;
  throw new DbkitError('config.invalid', `Patroni's data_dir is ${dataDir}, and dbkit's is ${postgresql.dataDir}`, {
    hint: 'set PGDATA (postgresql.dataDir) to the data_dir of patroni.yml; nothing was changed',
  });
}

async function claimAll(config: Config, owner: Identity, system: System, signal: AbortSignal): Promise<void> {
  await claimDirectory(config.postgresql.dataDir, owner, 0o700, system, signal);
  await claimDirectory(config.postgresql.socketDir, owner, 0o755, system, signal);
  await claimLogDirectory(config.logDir, owner, system, signal);
  await system.files.ownDirectory(config.stateDir, { mode: 0o755 });
  await mkdir(config.postgresql.dataDir, { recursive: true });
}

async function prepareMember(
  options: MemberOptions,
  { file, owner }: Pick<Member, 'file' | 'owner'>,
  signal: AbortSignal,
): Promise<Member> {
  const { config, system } = options;
  const isLeaseHeld = await endOrphan(config.stateDir, file, { ask: createPatroni(undefined), system, signal });
  if (!isLeaseHeld) await stopStale(file, system, signal);
  await takeUpUnfinished({ options, file, owner }, signal);
  if (typeof (await serverOn(file.dataDir)) !== 'object') await admitData(options, { file, owner }, signal);
  await noteBegun({ options, file, owner });
  const log = await writableLog('patroni.log', config, system);
  return { options, file, owner, log, isLeaseHeld };
}
