import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { zero } from '../harness/breaking.ts';
import { boot, readRecovery, start } from '../harness/dbkit.ts';
import { configure, type Instance } from '../harness/instance.ts';
import { killAllIn } from '../harness/processes.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

/** The table that the script has made is the largest file that is no catalog's. */
async function largestTable({ dataDir }: Instance): Promise<string> {
  const files = (await readdir(join(dataDir, 'base'), { recursive: true })).filter(
    (path) => Number(/^\d+\/(\d+)$/.exec(path)?.[1]) >= 16_384,
  );
  const sizes = await Promise.all(
    files.map(async (path) => ({ path: `base/${path}`, size: (await stat(join(dataDir, 'base', path))).size })),
  );
  return sizes.sort((a, b) => b.size - a.size)[0]!.path;
}

scenario(
  {
    name: 'a first start is cut off when clients may have come, and a table that its script has made holds zeroes then',
    section: 'C',
    detectedBefore: false,
    healedBy: 'serving the rest',
    rowsLost: 'those of that table, and that is told',
    from: 'empty',
  },
  async (instance) => {
    const scripts = join(instance.root, 'scripts');
    await mkdir(scripts, { mode: 0o755 });
    await writeFile(join(scripts, '1.sql'), 'CREATE TABLE made AS SELECT generate_series(1, 20000) AS i;\n', { mode: 0o644 });
    await configure(instance, { postgresql: { initScriptsDir: scripts } });
    await start(instance, ['entrypoint'], { env: { DBKIT_FAIL_AT: 'initialize.durable:1' } }).ended;
    await killAllIn(instance.dataDir);
    await zero(instance, await largestTable(instance));
    const running = await boot(instance);
    const report = await readRecovery(instance);
    expect(report?.lost, running.words()).toMatch(/page 0 holds zeroes/);
    await expectStopped(instance, await running.stop());
  },
);
