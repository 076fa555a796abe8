import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** Real containers, one scenario at a time: they share a machine whose ports and processors are few. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    include: ['test/container/**/*.scenario.ts'],
    globalSetup: ['test/container/image.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 900_000,
    teardownTimeout: 60_000,
    reporters: ['verbose'],
  },
});
