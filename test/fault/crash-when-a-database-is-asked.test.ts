import { stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'pg_class of one database holds zeroes after a clean stop: the server panics when that one is asked, and what that costs the others is told',
    section: 'D',
    detectedBefore: false,
    healedBy: 'serving the rest',
    rowsLost: 'those of that database, and of unlogged tables: told',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await ask(instance, 'postgres', 'CREATE DATABASE other');
    await ask(instance, 'postgres', 'CREATE UNLOGGED TABLE hits AS SELECT generate_series(1, 1000) AS n');
    const [{ path } = { path: '' }] = await ask<{ path: string }>(instance, 'other', "SELECT pg_relation_filepath('pg_class') AS path");
    await expectStopped(instance, await first.stop());
    const file = join(instance.dataDir, path);
    const { size, atime, mtime } = await stat(file);
    await writeFile(file, Buffer.alloc(size));
    await utimes(file, atime, mtime);

    const running = await boot(instance);
    const report = await readRecovery(instance);
    expect(await askNumber(instance, 'postgres', 'SELECT count(*) FROM hits'), running.words()).toBe(0);
    expect(
      report?.losses.map(({ kind }) => kind),
      running.words(),
    ).toContain('unlogged');
    expect(report?.lost).toMatch(new RegExp(path.split('/', 2).join('/')));
    await expectStopped(instance, await running.stop());
  },
);
