// `npm run test:fault` runs every disaster, with --all on every major, with --random the long random rounds; other arguments are parts of their files'
// names, or vitest's.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const rest = process.argv.slice(2).filter((argument) => argument !== '--all' && argument !== '--random');
const isRandom = process.argv.includes('--random');
const names = rest.filter((argument) => !argument.startsWith('-'));
const files = names.length > 0 ? names.map((name) => `test/fault/${name}`) : [isRandom ? 'test/fault/random-' : 'test/fault/'];
const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
const { status } = spawnSync(process.execPath, [vitest, 'run', ...files, ...rest.filter((argument) => argument.startsWith('-'))], {
  stdio: 'inherit',
  env: {
    ...process.env,
    DBKIT_TEST_LONG: '1',
    ...(process.argv.includes('--all') ? { DBKIT_TEST_ALL: '1' } : {}),
    ...(isRandom ? { DBKIT_TEST_RANDOM: '1' } : {}),
  },
});
process.exitCode = status ?? 1;
