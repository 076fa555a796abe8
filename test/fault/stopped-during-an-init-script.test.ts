import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { boot, start } from '../harness/dbkit.ts';
import { until, untilNoneIn } from '../harness/processes.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'the container was stopped while an init script ran',
    section: 'A',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'none',
    from: 'empty',
  },
  async (instance) => {
    const script = join(instance.initScriptsDir, 'slow.sh');
    await writeFile(script, 'sleep 60\n');
    const stopped = start(instance, ['entrypoint']);
    await until(
      () => stopped.words().includes('running slow.sh'),
      () => `the script never ran:\n${stopped.words()}`,
    );
    expect(await stopped.stop()).toMatchObject({ code: 0, signal: null });
    await untilNoneIn(instance.dataDir);

    await rm(script);
    const running = await boot(instance);
    await expectStopped(instance, await running.stop());
  },
);
