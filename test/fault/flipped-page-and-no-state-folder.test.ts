import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber, askText } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { flipByte, zeroPage } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectOtherPages } from './rest-of-the-rows.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'a page rotted while the server was stopped, and the state folder is gone: the pages are read, as nothing else tells',
    section: 'C',
    detectedBefore: false,
    healedBy: 'serving the rest',
    rowsLost: 'those of that page',
    from: 'template',
  },
  async (instance) => {
    await expectStopped(instance, await (await boot(instance)).stop());
    await flipByte(instance, instance.places.ledger, 3 * 8192 + 5000);
    await rm(instance.stateDir, { recursive: true });
    const running = await boot(instance);
    expect((await readRecovery(instance))?.lost, running.words()).toMatch(/public\.ledger in database app.*: page 3 fails its checksum/);
    await expectOtherPages(instance, 0);
    await expectStopped(instance, await running.stop());
  },
);

for (const [how, forget] of [
  [
    'the state folder and dbkit’s own folder beside the data are gone',
    async (instance: Instance) => {
      await rm(instance.stateDir, { recursive: true });
      await rm(join(instance.dataDir, '.dbkit'), { recursive: true });
    },
  ],
  [
    'a server without dbkit has run since, and was stopped',
    async (instance: Instance) => {
      const bare = await startBare(instance.programs, instance.dataDir, instance);
      expect(bare.up, bare.words()).toBe(true);
      await bare.stop();
    },
  ],
] as const)
  scenario(
    {
      name: `pages of a table and of an index were zeroed, and ${how}: they are held against the backup`,
      section: 'C',
      detectedBefore: false,
      healedBy: 'restore',
      rowsLost: 'none: the backup and the WAL since then hold every row',
      from: 'template',
    },
    async (instance) => {
      const running = await boot(instance);
      await ask(instance, 'app', 'CREATE INDEX ledger_amount ON ledger USING gin ((ARRAY[amount]))');
      const index = await askText(instance, 'app', "SELECT pg_relation_filepath('ledger_amount')");
      await takeBackup(instance);
      await expectStopped(instance, await running.stop());
      await forget(instance);
      await zeroPage(instance, instance.places.ledger, 3);
      await zeroPage(instance, index, 1);
      const again = await boot(instance);
      expect((await readRecovery(instance))?.decision, again.words()).toBe('restore');
      await expectAllRows(instance, 0);
      expect(
        await askNumber(instance, 'app', 'SELECT count(*) FROM ledger WHERE ARRAY[amount] && ARRAY[1::numeric]'),
      ).toBeGreaterThanOrEqual(0);
      await expectStopped(instance, await again.stop());
    },
  );
