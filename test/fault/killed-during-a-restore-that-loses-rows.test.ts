import { expect } from 'vitest';
import type { Step } from '../../src/kernel/steps.ts';
import type { HistoryReport } from '../../src/recovery/list-history.ts';
import { askNumber } from '../harness/ask.ts';
import { crash, remove, truncateTo } from '../harness/breaking.ts';
import { boot, readRecovery, run } from '../harness/dbkit.ts';
import { addRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped, quarantined } from './verdict.ts';

const moments: readonly (readonly [step: Step, time: number, longTier: boolean])[] = [
  ['restore.staged', 1, true],
  ['replace.journaled', 1, true],
  ['replace.entry-set-aside', 4, true],
  ['replace.entry-published', 3, false],
  ['replace.published', 1, true],
  ['server.voided-inventory', 1, false],
];

for (const [step, time, longTier] of moments)
  scenario(
    {
      longTier,
      name: `dbkit was killed at \`${step}\` of a restore that loses rows: the next start tells which`,
      section: 'A',
      detectedBefore: true,
      healedBy: 'restore',
      rowsLost: 'those since the backup, as their WAL is gone; that is told, whenever it was killed',
      from: 'template',
    },
    async (instance) => {
      const running = await boot(instance);
      await takeBackup(instance);
      await addRows(instance, known.ledger + 1, 10);
      await crash(instance, running);
      await truncateTo(instance, 'global/pg_control', 0);
      await remove(instance, 'pg_wal');
      const killed = await run(instance, ['entrypoint'], { env: { DBKIT_FAIL_AT: `${step}:${time}` } });
      expect(killed, killed.stderr).toMatchObject({ signal: 'SIGKILL' });
      const again = await boot(instance);
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger'), again.words()).toBe(known.ledger);
      const [whole] = await quarantined(instance);
      expect(await readRecovery(instance), again.words()).toMatchObject({
        decision: 'restore',
        quarantine: whole,
        losses: [{ kind: 'window', oldBytes: whole }],
      });
      await expectStopped(instance, await again.stop());
      const { stdout } = await run(instance, ['recover', 'history', '--json']);
      const { report } = JSON.parse(stdout) as { report: HistoryReport };
      expect(
        report.recoveries.filter(({ decision }) => decision === 'restore'),
        'one record, however often it was noted',
      ).toHaveLength(1);
      const third = await boot(instance);
      expect(third.words(), 'it is told once').not.toMatch(/committed after/);
      await expectStopped(instance, await third.stop());
    },
  );
