import { accessSync, constants, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';
import { daily } from './test/fault/daily.ts';

const MEMORY = '/dev/shm';
const ROOM_BYTES = 6 * 1024 ** 3;

/** Each test makes instances of its own; half of the time went into writing them to a disk that nothing here asks to survive a power cut. */
function hasRoomInMemory(): boolean {
  try {
    accessSync(MEMORY, constants.W_OK);
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize >= ROOM_BYTES;
  } catch {
    return false;
  }
}
if (process.env['TMPDIR'] === undefined && hasRoomInMemory()) process.env['TMPDIR'] = MEMORY;

/** Every disaster takes seconds and there are two hundred of them: the daily tests run some, the long tier all, and whoever names them runs those. */
const isAskedForFaults =
  process.env['DBKIT_TEST_LONG'] === '1' ||
  process.env['DBKIT_TEST_ALL'] === '1' ||
  process.argv.some((argument) => argument.includes('test/fault'));
const faults = isAskedForFaults ? ['test/fault/**/*.test.ts'] : daily.map((name) => `test/fault/${name}.test.ts`);

/** Files run side by side. One more than there are cores, as a quarter of what a file takes is waiting for a server; not many, as each may run two. */
const workers = Math.min(8, availableParallelism() + 1);

const all = ['test/*.test.ts', 'test/!(fault)/**/*.test.ts', ...faults];
const elsewhere = [...configDefaults.exclude, 'test/container/**']; // They need podman, or the network, and have a configuration of their own.

/** What would still be there for the next file of the same process: a module in the place of another, other words, another clock, another environment. */
const LEAVES_TRACES = /\bvi\.\w*(mock|stub|spy|timer)|\breword|process\.(env\[[^\]]*\] =|umask|chdir|set\w+id|title|exitCode)/i;
/** Those that start servers, or look at processes. */
const NEEDS_A_PROCESS = /\.live\.test\.ts$|^(fault|harness|security|container)\//;

/**
 * Two thirds of the files are pure: they share a process and what it has loaded, as to load the program again for each takes longer than to test it.
 * A file that could change what the next one sees has a process of its own, like all that start servers.
 */
const pure = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts') && !NEEDS_A_PROCESS.test(name))
  .map((name) => join('test', name));
const alone = pure.filter((path) => LEAVES_TRACES.test(readFileSync(path, 'utf8')));

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'servers', include: all, exclude: [...elsewhere, ...pure] } },
      { extends: true, test: { name: 'alone', include: alone, exclude: elsewhere } },
      { extends: true, test: { name: 'shared', include: pure, exclude: [...elsewhere, ...alone], isolate: false } },
    ],
    pool: 'forks',
    maxWorkers: workers,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 20_000,
    reporters: ['default'],
  },
});
