import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { bound } from '../kernel/deadline.ts';
import { errnoOf } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { fullnessOf } from '../machine/disk-usage.ts';
import { findCaretaker } from './caretaker.ts';
import type { Instance } from './contract.ts';
import type { LiveServer } from './live-server.ts';
import { serverOwner } from './owner.ts';
import { findPostmaster, processesOf } from './postmaster.ts';
import { openForServer } from './sessions.ts';
import { present } from './volume.ts';

const LIVE = `
  SELECT current_setting('server_version') AS version, pg_postmaster_start_time() AS started, pg_is_in_recovery() AS recovering,
         (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
         current_setting('max_connections')::int AS max,
         (SELECT sum(pg_database_size(oid)) FROM pg_database WHERE has_database_privilege(oid, 'CONNECT'))::text AS size`;

/** Answers about the instance, without an orchestrator around it. */
export function createInstance(config: Config, system: System): Instance {
  const { postgresql: settings, stateDir } = config;
  return {
    owner: () => serverOwner(settings, system),
    caretaker: () => findCaretaker(settings, system.runner),
    isElsewhere: async () => {
      const entries = await readdir(settings.dataDir).catch((cause: unknown) =>
        errnoOf(cause) === 'ENOENT' ? [] : ['what may not be read'],
      );
      if (entries.length > 0) return false;
      for (const trace of ['status.json', 'inventory.json']) if (await present(join(stateDir, trace))) return false;
      return (await findCaretaker(settings, system.runner)) === undefined;
    },
    fullness: async () => {
      const [logs, backups] = await Promise.all([fullnessOf(config.logDir), fullnessOf(config.backupDir)]);
      return { logs, backups };
    },
    wake: async (signal) => {
      signal.throwIfAborted();
      const postmaster = await findPostmaster(settings.dataDir);
      if (postmaster.kind !== 'alive') return 0;
      const stopped = processesOf(postmaster.pid).filter(({ isStopped }) => isStopped);
      const pids = [...stopped.map(({ pid }) => pid), ...(postmaster.isStopped ? [postmaster.pid] : [])];
      for (const pid of pids) process.kill(pid, 'SIGCONT');
      return pids.length;
    },
    live: async (timeoutMs, signal): Promise<LiveServer | undefined> => {
      const limit = bound([signal], timeoutMs);
      const limits = { connectTimeoutMs: timeoutMs, statementTimeoutMs: timeoutMs, lockTimeoutMs: timeoutMs };
      const session = await openForServer(settings, limits, limit.signal).catch(() => undefined);
      try {
        const [row] =
          (await session?.query<{ version: string; started: Date; recovering: boolean; used: number; max: number; size: string }>(LIVE)) ??
          [];
        if (!row) return undefined;
        return {
          version: row.version,
          startedAt: row.started.toISOString(),
          inRecovery: row.recovering,
          connections: { used: row.used, max: row.max },
          databaseSizeBytes: Number(row.size),
        };
      } catch {
        return undefined;
      } finally {
        await session?.end();
        limit.release();
      }
    },
  };
}
