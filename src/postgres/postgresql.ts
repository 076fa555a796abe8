import { join } from 'node:path';
import type { Instance } from '../core/app.ts';
import type { Config } from '../core/config.ts';
import type { BackupEngine, Service, System } from '../core/contracts.ts';
import { createInstance } from './instance.ts';
import { createKeeper } from './keeper.ts';

export interface PostgresqlOptions {
  readonly config: Config;
  readonly system: System;
  readonly engines: readonly BackupEngine[];
  readonly onFail: 'exit' | 'hold';
}

/** The table of contents of PostgreSQL support: the service that the orchestrator runs, and the instance that commands look at. */
export function createPostgresql(options: PostgresqlOptions): { service: Service; instance: Instance } {
  const { config, onFail, engines } = options;
  const { restart } = config.postgresql;
  const keeper = createKeeper(options);
  return {
    service: {
      name: 'postgresql',
      dependsOn: [],
      onFail,
      restart: {
        policy: restart.policy,
        backoffMs: restart.backoffSeconds * 1000,
        backoffMaxMs: restart.backoffMaxSeconds * 1000,
        max: restart.max,
        windowMs: restart.windowSeconds * 1000,
      },
      stopTimeoutMs: config.stopSeconds * 1000,
      prepare: keeper.prepare,
      start: keeper.start,
      recover: keeper.recover,
      lastRecovery: keeper.lastRecovery,
      probes: [],
      engines,
    },
    instance: createInstance(options, keeper),
  };
}

/** The server's log; every start appends to it. */
export const serverLog = (config: Config): string => join(config.logDir, 'postgresql.log');
