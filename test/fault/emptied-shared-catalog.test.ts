import { expect } from 'vitest';
import { crash, truncateTo } from '../harness/breaking.ts';
import { boot, readRecovery, run } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { addRows, expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

const pgDatabase = 1262;
const pgTablespace = 1213;

const strike = (instance: Instance, catalog: number): Promise<void> => truncateTo(instance, `global/${catalog}`, 0);

/** The server would start, read it, and know of no database. */
scenario(
  {
    name: 'the file of pg_database was emptied after a clean stop, and there is no backup: that is no cluster without databases',
    section: 'D',
    detectedBefore: true,
    healedBy: 'reinitialize',
    rowsLost: 'all of them are in the quarantine',
    from: 'template',
  },
  async (instance) => {
    await expectStopped(instance, await (await boot(instance)).stop());
    await strike(instance, pgDatabase);
    const again = await boot(instance);
    expect(await readRecovery(instance), again.words()).toMatchObject({ decision: 'reinitialize', losses: [{ kind: 'cluster' }] });
    await expectStopped(instance, await again.stop());
  },
);

for (const [name, catalog] of [
  ['pg_database', pgDatabase],
  ['pg_tablespace', pgTablespace],
] as const)
  scenario(
    {
      name: `the file of ${name} was emptied after a crash, and there is a backup`,
      section: 'C',
      detectedBefore: true,
      healedBy: 'restore',
      rowsLost: 'none: rolled forward to the last commit',
      from: 'template',
    },
    async (instance) => {
      const first = await boot(instance);
      expect((await run(instance, ['backup', 'create'])).code).toBe(0);
      await addRows(instance, 1_000_001, 50);
      await crash(instance, first);
      await strike(instance, catalog);
      const again = await boot(instance);
      await expectAllRows(instance, 50);
      expect((await readRecovery(instance))?.decision, again.words()).toBe('restore');
      await expectStopped(instance, await again.stop());
    },
  );
