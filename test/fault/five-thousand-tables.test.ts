import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, readRecovery, run } from '../harness/dbkit.ts';
import { known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

const TABLES = 5_000;
const GONE = 4_500;
/** Of many of one kind ten are shown, and the rest in a line. */
const LINES_MAX = 60;

for (const hasBackup of [false, true])
  scenario(
    {
      longTier: true,
      name: `${GONE} of ${TABLES} tables are gone ${hasBackup ? 'since the backup' : 'and there is no backup'}: each kind is told in a few lines, and no path is quadratic`,
      section: 'C',
      detectedBefore: true,
      healedBy: hasBackup ? 'restore' : 'serving the rest',
      rowsLost: hasBackup ? 'none' : 'those of the tables that are gone',
      from: 'template',
      timeoutMs: 600_000,
    },
    async (instance) => {
      const running = await boot(instance);
      for (let from = 1; from <= TABLES; from += 500)
        await ask(
          instance,
          'app',
          `DO $$ BEGIN FOR i IN ${from}..${from + 499} LOOP EXECUTE format('CREATE TABLE t%s AS SELECT g AS id FROM generate_series(1, 20) g', i); END LOOP; END $$`,
        );
      await ask(instance, 'app', 'CHECKPOINT');
      if (hasBackup) await takeBackup(instance);
      const tables = await ask<{ path: string }>(
        instance,
        'app',
        "SELECT pg_relation_filepath(oid) AS path FROM pg_class WHERE relname ~ '^t[0-9]+$' ORDER BY oid",
      );
      await expectStopped(instance, await running.stop());
      for (const { path } of tables.slice(0, GONE)) await rm(join(instance.dataDir, path));
      for (const words of [['inspect'], ['recover', '--dry-run']])
        expect((await run(instance, words)).stdout.split('\n').length, words.join(' ')).toBeLessThan(LINES_MAX);

      const again = await boot(instance);
      expect(again.words().split('\n').length, again.words().slice(0, 3_000)).toBeLessThan(LINES_MAX);
      expect((await readRecovery(instance))?.decision).toBe(hasBackup ? 'restore' : 'start');
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger);
      if (hasBackup) expect(await askNumber(instance, 'app', 'SELECT count(*) FROM t1')).toBe(20);
      else expect(again.words()).toMatch(new RegExp(`${GONE - 10} more files of database app`));
      expect((await run(instance, ['status'])).stdout.split('\n').length).toBeLessThan(LINES_MAX);
      await expectStopped(instance, await again.stop());
      const third = await boot(instance);
      expect(third.words().split('\n').length).toBeLessThan(LINES_MAX);
      await expectStopped(instance, await third.stop());
    },
  );
