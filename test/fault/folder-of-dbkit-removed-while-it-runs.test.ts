import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { boot, run } from '../harness/dbkit.ts';
import { beside } from '../harness/instance.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'dbkit’s folder was cleaned away while the server runs, and a second dbkit starts on the same data',
    section: 'A',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await rm(join(instance.dataDir, '.dbkit'), { recursive: true });
    const refused = await run(await beside(instance, 'second'), ['entrypoint']);
    expect(refused, refused.stderr).toMatchObject({ code: 75 });
    expect(refused.stderr).toContain('is in use by');
    await expectAllRows(instance, 0);
    await expectStopped(instance, await first.stop());
    await expectStopped(instance, await (await boot(instance)).stop());
  },
);
