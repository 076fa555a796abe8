import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { crash } from '../harness/breaking.ts';
import { boot, inspect } from '../harness/dbkit.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'pg_control of the last clean stop comes back after a crash: the WAL goes on behind its checkpoint',
    section: 'B',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none: the WAL is replayed from that checkpoint on',
    from: 'template',
  },
  async (instance) => {
    await expectStopped(instance, await (await boot(instance)).stop());
    const [control, older] = [join(instance.dataDir, 'global/pg_control'), join(instance.root, 'older')];
    await copyFile(control, older);
    const running = await boot(instance);
    await addRows(instance, known.ledger + 1, 100);
    await crash(instance, running);
    await copyFile(older, control);
    expect((await inspect(instance)).findings.map(({ code }) => code)).toContain('control.outdated');
    const again = await boot(instance);
    await expectAllRows(instance, 100);
    expect(again.words()).toMatch(/lost: nothing/);
    await expectStopped(instance, await again.stop());
  },
);
