import { readdir } from 'node:fs/promises';
import { expect } from 'vitest';
import { remove } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import { expectNewInstance } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'the data directory was emptied, and there is no backup',
    section: 'D',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'all; a person says that a new instance shall begin, as a volume that is not mounted looks the same',
    from: 'template',
  },
  async (instance) => {
    await expectStopped(instance, await (await boot(instance)).stop());
    await remove(instance, ...(await readdir(instance.dataDir)));
    const refused = await run(instance, ['entrypoint']);
    expect(refused, refused.stderr).toMatchObject({ code: 77 });
    expect(refused.stderr).toMatch(/no first boot/);
    expect((await readdir(instance.dataDir)).filter((name) => name !== '.dbkit')).toEqual([]);

    const asked = await run(instance, ['recover', '--strategy', 'reinitialize', '--yes']);
    expect(asked, asked.stderr).toMatchObject({ code: 0 });
    const running = await boot(instance);
    await expectNewInstance(instance);
    await expectStopped(instance, await running.stop());
  },
);
