import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { InspectionReport, Instance, LiveServer } from '../core/app.ts';
import { errnoOf } from '../core/errors.ts';
import { lazily } from '../core/lazily.ts';
import type { Restorer } from '../core/restore.ts';
import { findBinaries } from './binaries.ts';
import { findCaretaker } from './caretaker.ts';
import { connect } from './connection.ts';
import { serverOn } from './guard/preflight.ts';
import { inspect } from './inspection/inspect.ts';
import { serverReads } from './inspection/server-reads.ts';
import type { Keeper } from './keeper.ts';
import type { PostgresqlOptions } from './local.ts';
import { serverOwner } from './owner.ts';
import { fullnessOf } from './probes/disk.ts';
import { findPostmaster, processesOf } from './probes/postmaster.ts';
import { expireQuarantine } from './recovery/expire-quarantine.ts';
import { present } from './volume.ts';

const LIVE = `
  SELECT current_setting('server_version') AS version, pg_postmaster_start_time() AS started, pg_is_in_recovery() AS recovering,
         (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
         current_setting('max_connections')::int AS max,
         (SELECT sum(pg_database_size(oid)) FROM pg_database WHERE has_database_privilege(oid, 'CONNECT'))::text AS size`;

/** What is seen of a directory that a server is writing to at this moment: that it has not been shut down is no news. */
function whileServed(report: InspectionReport, pid: number): InspectionReport {
  const evidence = `pid ${pid} serves it: files may change while they are looked at`;
  const findings = report.findings.filter(({ code }) => code !== 'shutdown.unclean');
  return { ...report, findings: [{ code: 'server.running', path: 'postmaster.pid', evidence, severity: 'info' }, ...findings] };
}

/** The instance as a thing to look at and mend, without an orchestrator around it. */
export function createInstance(options: PostgresqlOptions, keeper: Keeper, restorer: Restorer): Instance {
  const { config, system } = options;
  const { postgresql: settings, stateDir } = config;
  /** What only the programs know of a configuration that parses. */
  const askServer = async (report: InspectionReport, signal: AbortSignal): Promise<InspectionReport> => {
    if (report.findings.some(({ code }) => code.startsWith('conf.'))) return report;
    const binaries = await findBinaries({ major: report.major ?? settings.version, directory: settings.binDir }, system, signal).catch(
      () => undefined,
    );
    const said = binaries ? await serverReads(settings.dataDir, binaries, system, signal) : [];
    return { ...report, findings: [...report.findings, ...said] };
  };
  return {
    restorer,
    copies: lazily(['copyTo', 'open', 'bringTables', 'drill', 'salvage'], async () =>
      (await import('./on-demand.ts')).onDemand.createCopies(options),
    ),
    upkeep: lazily(['needs', 'run', 'checkpoint', 'pruneLogs', 'amcheck'], async () =>
      (await import('./on-demand.ts')).onDemand.createUpkeep(options),
    ),
    expireQuarantine: (wish, signal) => expireQuarantine(config, system, wish, signal),
    inspect: async (depth, signal) => {
      const { report } = await inspect(settings.dataDir, { stateDir, ...depth }, system, signal);
      const server = await serverOn(settings.dataDir);
      const asked = depth.deep && report.state === 'cluster' ? await askServer(report, signal) : report;
      return typeof server === 'object' ? whileServed(asked, server.pid) : asked;
    },
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
    recover: (request, signal) => keeper.recover(request, signal),
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
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      const { socketDir, port, superuser: user, superuserPassword } = settings;
      const target = { socketDir, port, user, database: 'postgres', password: superuserPassword?.reveal() };
      const session = await connect(target, { timeoutMs }, bounded).catch(() => undefined);
      if (!session) return undefined;
      try {
        const [row] = await session.query<{ version: string; started: Date; recovering: boolean; used: number; max: number; size: string }>(
          LIVE,
        );
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
        await session.end();
      }
    },
  };
}
