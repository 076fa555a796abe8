import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { remove } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { expectAllRows } from '../harness/rows.ts';
import { disaster, scenario } from './disaster.ts';
import { expectLedger } from './rest-of-the-rows.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

disaster({
  name: 'the file of a user’s table was removed while the server ran, and then it was stopped cleanly',
  section: 'C',
  detectedBefore: false,
  healedBy: 'serving the rest',
  rowsLost: 'those of that table',
  left: 'clean',
  prepare: async (instance) => {
    await ask(instance, 'app', 'ANALYZE documents', 'CHECKPOINT');
    await remove(instance, instance.places.documents);
  },
  break: async () => undefined, // The inventory of the clean stop matches what is left.
  expect: { message: /damaged/, rows: expectLedger, lost: /is gone/, remains: ['relation.missing'] },
});

scenario(
  {
    name: 'the file of a table was removed while the server ran, it was stopped cleanly, and there is a backup: the restore tells of unlogged rows, too',
    section: 'C',
    detectedBefore: false,
    healedBy: 'restore',
    rowsLost: 'those of unlogged tables: told',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await takeBackup(instance);
    await ask(instance, 'app', 'CREATE UNLOGGED TABLE hits AS SELECT generate_series(1, 1000) AS n', 'ANALYZE documents', 'CHECKPOINT');
    await remove(instance, instance.places.documents);
    await expectStopped(instance, await first.stop());

    const running = await boot(instance);
    const report = await readRecovery(instance);
    expect(report?.decision, running.words()).toBe('restore');
    expect(
      report?.losses.map(({ kind }) => kind),
      running.words(),
    ).toContain('unlogged');
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM hits')).toBe(0);
    await expectAllRows(instance, 0);
    await expectStopped(instance, await running.stop());
  },
);
