import { rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { killAllIn } from '../harness/processes.ts';
import { expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

const harms = {
  gone: (path: string) => rm(path),
  emptied: (path: string) => truncate(path, 0),
  'cut by a page': async (path: string) => truncate(path, (await stat(path)).size - 8192),
} as const;

for (const [how, harm] of Object.entries(harms))
  for (const [end, hasBackup] of [
    ['stopped', false],
    ['stopped', true],
    ['killed', true],
  ] as const)
    scenario(
      {
        longTier: how !== 'emptied',
        name: `a table’s file was ${how} under a running server, which wrote on and was ${end}${hasBackup ? '; there is a backup' : ''}`,
        section: 'C',
        detectedBefore: false,
        healedBy: hasBackup ? 'restore' : 'serving the rest',
        rowsLost: hasBackup ? 'none: the backup and the WAL since then hold every row' : 'those of that file, which is told',
        from: 'template',
      },
      async (instance) => {
        const running = await boot(instance);
        if (hasBackup) await takeBackup(instance);
        await ask(instance, 'app', 'CHECKPOINT');
        await harm(join(instance.dataDir, instance.places.ledger));
        await ask(instance, 'app', 'CREATE TABLE later AS SELECT i AS id FROM generate_series(1, 100) i');
        if (end === 'stopped') await expectStopped(instance, await running.stop());
        else {
          await killAllIn(instance.root);
          await running.ended;
        }
        const again = await boot(instance);
        expect(await askNumber(instance, 'app', 'SELECT count(*) FROM later'), again.words()).toBe(100);
        if (hasBackup) await expectAllRows(instance, 0);
        else {
          await expectOtherTables(instance);
          expect(await readRecovery(instance), again.words()).toMatchObject({ losses: [{ relation: { name: 'public.ledger' } }] });
          await ask(instance, 'app', 'ALTER DATABASE app SET enable_indexonlyscan = off');
          const rows = await askNumber(instance, 'app', 'SELECT count(*) FROM ledger WHERE amount IS NOT NULL').catch(() => 0);
          expect(rows).toBeLessThan(known.ledger);
        }
        await expectStopped(instance, await again.stop());
      },
    );
