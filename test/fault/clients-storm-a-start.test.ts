import { expect } from 'vitest';
import { crash } from '../harness/breaking.ts';
import { boot } from '../harness/dbkit.ts';
import { configure } from '../harness/instance.ts';
import { until } from '../harness/processes.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { stormOf } from './storm.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped, quarantined } from './verdict.ts';

scenario(
  {
    name: 'clients take every connection, the superuser’s too, the moment the server is up after a crash',
    section: 'A',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    await configure(instance, { postgresql: { settings: { max_connections: 10, superuser_reserved_connections: 2 } } });
    const first = await boot(instance);
    await takeBackup(instance);
    await addRows(instance, known.ledger + 1, 50);
    await crash(instance, first);
    const storm = stormOf(15, instance);
    instance.beforeRemoval(() => storm.stop());
    const judged = await boot(instance);
    await until(
      async () => storm.entered() > 0,
      () => 'nobody is let in',
    ); // Behind the closed door nobody was in dbkit's way.
    expect(judged.words()).not.toMatch(/could not be checked/);
    await expectStopped(instance, await judged.stop());
    expect(await quarantined(instance)).toEqual([]);
    await storm.stop();
    const calm = await boot(instance);
    await expectAllRows(instance, 50);
    await expectStopped(instance, await calm.stop());
  },
);
