// `npm run test:fault -- --all` runs every disaster on every major; other arguments are vitest's.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const all = process.argv.includes('--all');
const rest = process.argv.slice(2).filter((argument) => argument !== '--all');
const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
const { status } = spawnSync(process.execPath, [vitest, 'run', '--dir', 'test/fault', ...rest], {
  stdio: 'inherit',
  env: { ...process.env, ...(all ? { DBKIT_TEST_ALL: '1' } : {}) },
});
process.exitCode = status ?? 1;
