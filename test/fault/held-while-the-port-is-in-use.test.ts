import { expect } from 'vitest';
import { readStatus, run, start } from '../harness/dbkit.ts';
import { listenOn } from '../harness/ports.ts';
import { until } from '../harness/processes.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'another program listens on the port: the container is held until it is gone',
    section: 'A',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const holder = await listenOn(instance.port);
    instance.beforeRemoval(async () => void holder.close());
    const held = start(instance, ['entrypoint'], { env: { CI: undefined, DBKIT_ON_FAIL: 'hold' } });
    const service = async () => (await readStatus(instance))?.services.find(({ name }) => name === 'postgresql');
    await until(
      async () => (await service())?.state === 'held',
      () => `dbkit does not hold:\n${held.words()}`,
    );
    expect((await service())?.failure).toMatchObject({ code: 'port.in-use' });

    holder.close();
    const restarted = await run(instance, ['restart']);
    expect(restarted, restarted.stderr).toMatchObject({ code: 0 });
    await until(
      async () => (await service())?.state === 'ready',
      () => `dbkit does not go on from there:\n${held.words()}`,
    );
    await expectAllRows(instance, 0);
    await expectStopped(instance, await held.stop());
  },
);
