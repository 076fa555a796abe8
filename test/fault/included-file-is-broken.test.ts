import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import { write } from '../harness/breaking.ts';
import { boot } from '../harness/dbkit.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';

scenario(
  {
    name: 'a file in PGDATA that postgresql.conf includes holds merge markers',
    section: 'B',
    detectedBefore: false,
    healedBy: 'repair',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    await appendFile(join(instance.dataDir, 'postgresql.conf'), "max_connections = 37\ninclude 'extra.conf'\n");
    await write(instance, 'extra.conf', '<<<<<<< HEAD\n');
    const running = await boot(instance);
    await expectAllRows(instance, 0);
    expect(await ask(instance, 'app', 'SHOW max_connections'), 'what stands elsewhere still holds').toEqual([{ max_connections: '37' }]);
    expect(running.words()).toMatch(/extra\.conf is empty now/);
    await running.stop();
  },
);
