import { expect } from 'vitest';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { configure } from '../harness/instance.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { stormOf } from './storm.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped, quarantined } from './verdict.ts';

scenario(
  {
    name: 'clients take every connection, the superuser’s too, the moment the server is up after a clean stop',
    section: 'A',
    detectedBefore: false,
    healedBy: 'start',
    rowsLost: 'none',
    longTier: true, // It takes as long as dbkit's patience.
    from: 'template',
  },
  async (instance) => {
    await configure(instance, { postgresql: { settings: { max_connections: 10, superuser_reserved_connections: 2 } } });
    const first = await boot(instance);
    await takeBackup(instance);
    await addRows(instance, known.ledger + 1, 50);
    await expectStopped(instance, await first.stop());
    const storm = stormOf(15, instance);
    instance.beforeRemoval(() => storm.stop());
    const proven = await boot(instance); // A clean stop proves the files: the door is open at once, and every connection is taken.
    expect(await quarantined(instance)).toEqual([]);
    expect((await readRecovery(instance))?.findings.filter(({ code }) => code !== 'shutdown.unclean') ?? []).toEqual([]);
    await storm.stop();
    await expectStopped(instance, await proven.stop());
    const calm = await boot(instance);
    await expectAllRows(instance, 50);
    await expectStopped(instance, await calm.stop());
  },
);
