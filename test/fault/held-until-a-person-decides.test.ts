import { expect } from 'vitest';
import { crash, truncateTo } from '../harness/breaking.ts';
import { boot, readStatus, run, start } from '../harness/dbkit.ts';
import { configure } from '../harness/instance.ts';
import { until } from '../harness/processes.ts';
import { expectNewInstance } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { quarantined } from './verdict.ts';

const holding = { CI: undefined, DBKIT_ON_FAIL: 'hold' };
const command = [process.execPath, '-e', 'process.stderr.write("the command runs\\n"); setInterval(() => undefined, 1000)'];

scenario(
  {
    name: 'the data must be replaced, which is not allowed: the container is held for a person',
    section: 'D',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none: nothing is touched until `dbkit recover` is told to',
    from: 'template',
  },
  async (instance) => {
    await configure(instance, { recovery: { allow: ['repair'] } });
    await crash(instance, await boot(instance));
    await truncateTo(instance, 'global/pg_control', 0);

    const held = start(instance, ['entrypoint', '--', ...command], { env: holding });
    const service = async () => (await readStatus(instance))?.services.find(({ name }) => name === 'postgresql');
    await until(
      async () => (await service())?.state === 'held' && /the command runs/.test(held.words()),
      () => `dbkit does not hold:\n${held.words()}`,
    );
    expect((await service())?.failure).toMatchObject({ code: 'data.corrupt' });
    expect(await quarantined(instance)).toEqual([]);

    const recovered = await run(instance, ['recover', '--strategy', 'reinitialize', '--yes']);
    expect(recovered, recovered.stderr).toMatchObject({ code: 0 });
    await until(
      async () => (await service())?.state === 'ready',
      () => `dbkit does not go on from there:\n${held.words()}`,
    );
    await expectNewInstance(instance);
    expect(await quarantined(instance)).toHaveLength(1);
    expect(await held.stop(), held.words()).toMatchObject({ code: 143 });
  },
);
