import { expect } from 'vitest';
import { boot, run } from '../harness/dbkit.ts';
import { beside } from '../harness/instance.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'a second dbkit was started on the same volume',
    section: 'A',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    const refused = await run(await beside(instance, 'second'), ['entrypoint']);
    expect(refused, refused.stderr).toMatchObject({ code: 75 });
    expect(refused.stderr, 'the holder is named').toMatch(new RegExp(`pid ${first.pid}\\b`));
    await expectAllRows(instance, 0);
    await expectStopped(instance, await first.stop());
  },
);
