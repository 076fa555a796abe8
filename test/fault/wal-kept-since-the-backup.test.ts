import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { crash, truncateTo } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { configure } from '../harness/instance.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

for (const [walKeep, lost] of [
  ['1GB', 'nothing'],
  ['0MB', 'the WAL after it is missing'],
] as const) {
  scenario(
    {
      name: `pg_control is empty after a crash, and checkpoints have passed since the backup (recovery.walKeep ${walKeep})`,
      section: 'C',
      detectedBefore: true,
      healedBy: 'restore',
      rowsLost: walKeep === '1GB' ? 'none: the WAL since the backup was kept' : 'those after the backup; the report says since when',
      from: 'empty',
    },
    async (instance) => {
      const postgresql = { initdbArgs: '--wal-segsize=1', settings: { max_wal_size: '2MB', min_wal_size: '2MB' } };
      await configure(instance, { postgresql, recovery: { walKeep } });
      const running = await boot(instance);
      await ask(instance, 'app', 'CREATE TABLE rows (id int, note text)');
      await takeBackup(instance);
      for (let round = 0; round < 6; round += 1)
        await ask(instance, 'app', 'INSERT INTO rows SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 3000) i', 'CHECKPOINT');
      await crash(instance, running);
      await truncateTo(instance, 'global/pg_control', 0);

      const again = await boot(instance);
      const report = await readRecovery(instance);
      expect(report).toMatchObject({ decision: 'restore', lost: lost === 'nothing' ? lost : expect.stringContaining('missing') });
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM rows')).toBe(lost === 'nothing' ? 18_000 : 0);
      await expectStopped(instance, await again.stop());
    },
  );
}
