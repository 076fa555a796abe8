import { expect } from 'vitest';
import { startBare } from '../harness/bare-server.ts';
import { boot, run } from '../harness/dbkit.ts';
import { beside } from '../harness/instance.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'somebody started a server on the directory without dbkit',
    section: 'A',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const server = await startBare(instance.programs, instance.dataDir, instance);
    const refused = await run(await beside(instance, 'second'), ['entrypoint']);
    expect(refused, refused.stderr).toMatchObject({ code: 75 });
    expect(refused.stderr).toMatch(new RegExp(`\\(pid ${server.pid}\\)`));
    await expectAllRows(instance, 0);
    await server.stop();

    const running = await boot(instance);
    await expectAllRows(instance, 0);
    await expectStopped(instance, await running.stop());
  },
);
