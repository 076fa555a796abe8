import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** Whole clusters of Debian's packages (patroni, python3-etcd, etcd-server, haproxy, pgbouncer, postgresql): skipped where one is missing. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    include: ['test/cluster/**/*.scenario.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    teardownTimeout: 60_000,
    reporters: ['verbose'],
  },
});
