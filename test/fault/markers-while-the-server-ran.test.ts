import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { boot } from '../harness/dbkit.ts';
import { customise, expectRowsAndSetting } from './customised.ts';
import { scenario } from './disaster.ts';

scenario(
  {
    name: 'postgresql.conf was broken by merge markers while the server ran, and then it was stopped cleanly',
    section: 'B',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    await customise(instance);
    const running = await boot(instance);
    await appendFile(join(instance.dataDir, 'postgresql.conf'), '<<<<<<< HEAD\n');
    expect(await running.stop()).toMatchObject({ code: 0 });

    const again = await boot(instance);
    await expectRowsAndSetting(instance, 0); // From the copy that the server had come up with.
    await again.stop();
  },
);
