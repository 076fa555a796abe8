import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** What needs a browser or a Prometheus (Debian: chromium, prometheus): each test says what is missing and is skipped without it. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    include: ['test/monitoring/**/*.scenario.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 120_000,
    reporters: ['verbose'],
  },
});
