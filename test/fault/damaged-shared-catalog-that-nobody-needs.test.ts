import { expect } from 'vitest';
import { flipByte } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped, quarantined } from './verdict.ts';

scenario(
  {
    name: 'a page of a shared catalog is damaged that no session needs, and there is no backup: every row is served, at each start',
    section: 'C',
    detectedBefore: true,
    healedBy: 'serving the rest',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    await expectStopped(instance, await (await boot(instance)).stop());
    await flipByte(instance, 'global/4186', 5_000); // The index of the TOAST table of pg_tablespace.
    for (const start of ['first', 'second', 'third']) {
      const running = await boot(instance);
      await expectAllRows(instance, 0);
      expect(await quarantined(instance), `${start} start: ${running.words()}`).toEqual([]);
      expect(running.words(), start).toMatch(/damaged and not mended: .*pg_tablespace/);
      expect((await readRecovery(instance))?.decision).toBe('start');
      await expectStopped(instance, await running.stop());
    }
  },
);
