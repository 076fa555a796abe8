import type { Instance, LiveServer } from '../core/app.ts';
import { connect } from './connection.ts';
import { inspect } from './inspection/inspect.ts';
import type { Keeper } from './keeper.ts';
import type { PostgresqlOptions } from './local.ts';

const LIVE = `
  SELECT current_setting('server_version') AS version, pg_postmaster_start_time() AS started, pg_is_in_recovery() AS recovering,
         (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
         current_setting('max_connections')::int AS max,
         (SELECT sum(pg_database_size(oid)) FROM pg_database WHERE has_database_privilege(oid, 'CONNECT'))::text AS size`;

/** The instance as a thing to look at and mend, without an orchestrator around it. */
export function createInstance({ config, system }: PostgresqlOptions, keeper: Keeper): Instance {
  const { postgresql: settings, stateDir } = config;
  return {
    inspect: async (options, signal) => (await inspect(settings.dataDir, { stateDir, ...options }, system, signal)).report,
    recover: (request, signal) => keeper.recover(request, signal),
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
