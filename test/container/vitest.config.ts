import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const folder = 'test/container';
/** Each of these brings what it needs, and is skipped, with the reason, where it cannot: a pod, the package on every Node, a booted systemd. */
const own = ['compose', 'kubernetes', 'package', 'systemd'].map((name) => `${folder}/${name}.scenario.ts`);
const patience = { pool: 'forks', testTimeout: 300_000, hookTimeout: 900_000, teardownTimeout: 60_000 } as const;

/** Real machines, one scenario at a time: they share one whose ports and processors are few. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    fileParallelism: false,
    reporters: ['verbose'],
    projects: [
      {
        test: {
          ...patience,
          name: 'devcontainer',
          include: [`${folder}/**/*.scenario.ts`],
          exclude: own,
          globalSetup: [`${folder}/image.ts`],
        },
      },
      { test: { ...patience, name: 'machines', include: own } },
    ],
  },
});
