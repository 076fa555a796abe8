import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { boot, run } from '../harness/dbkit.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { quarantined } from './verdict.ts';

scenario(
  {
    name: 'a bad value stands in postgresql.auto.conf, and there is no good copy of it',
    section: 'A',
    detectedBefore: false,
    healedBy: 'refusal',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    await (await boot(instance)).stop();
    await rm(instance.stateDir, { recursive: true });
    const conf = join(instance.dataDir, 'postgresql.auto.conf');
    await appendFile(conf, "shared_buffers = '10XB'\n");

    const refused = await run(instance, ['entrypoint', '--strict', '--', 'true']);
    expect(refused, refused.stderr).toMatchObject({ code: 78 });
    expect(refused.stderr).toContain('invalid value for parameter "shared_buffers": "10XB"');
    expect(await quarantined(instance)).toEqual([]);

    await rm(conf);
    const again = await boot(instance);
    await expectAllRows(instance, 0);
    await again.stop();
  },
);
