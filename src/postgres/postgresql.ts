import type { Instance } from '../core/app.ts';
import type { Service } from '../core/contracts.ts';
import { lazily } from '../core/lazily.ts';
import { createInstance } from './instance.ts';
import { createKeeper } from './keeper.ts';
import type { PostgresqlOptions } from './local.ts';
import { createProbes } from './probes/probes.ts';

/** The table of contents of PostgreSQL support: the service that the orchestrator runs, and the instance that commands look at. */
export function createPostgresql(options: PostgresqlOptions): { service: Service; instance: Instance } {
  const { config, onFail, engines } = options;
  const { restart } = config.postgresql;
  const keeper = createKeeper(options);
  const restorer = lazily(['plan', 'stage', 'publish', 'replace'], async () =>
    (await import('./on-demand.ts')).onDemand.createRestorer(options, keeper),
  );
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
      restorer,
      lastRecovery: keeper.lastRecovery,
      probes: createProbes(options),
      engines,
    },
    instance: createInstance(options, keeper, restorer),
  };
}
