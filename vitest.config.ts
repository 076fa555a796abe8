import { defineConfig } from 'vitest/config';

/** Files run side by side in processes of their own; two at a time, because each of them may run a PostgreSQL server. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 20_000,
    reporters: ['default'],
  },
});
