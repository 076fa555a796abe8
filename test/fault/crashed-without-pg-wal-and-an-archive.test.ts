import { expect } from 'vitest';
import { askNumber } from '../harness/ask.ts';
import { crash, remove, scramble } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { until } from '../harness/processes.ts';
import { withArchive } from '../wal/kept.ts';
import { missingOf, startWriter } from './acknowledged.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { segments } from './wal.ts';

for (const how of ['gone', 'scrambled'] as const) {
  scenario(
    {
      name: `pg_wal is ${how} after a crash; the archive has it`,
      section: 'C',
      detectedBefore: true,
      healedBy: 'repair',
      rowsLost: 'none older than a second',
      from: 'empty',
    },
    async (instance) => {
      const running = await boot(instance, withArchive);
      await takeBackup(instance);
      const writer = await startWriter(instance);
      await until(
        () => (writer.acknowledged().at(-1)?.atMs ?? 0) - (writer.acknowledged()[0]?.atMs ?? 0) > 1_500,
        () => 'nobody writes',
      );
      await crash(instance, running);
      await writer.stop();
      if (how === 'gone') await remove(instance, 'pg_wal');
      else for (const path of await segments(instance)) await scramble(instance, path);

      const again = await boot(instance, withArchive);
      expect(await missingOf(instance, writer), again.words()).toBe(0);
      expect(await readRecovery(instance)).toMatchObject({ decision: 'repair', losses: [{ kind: 'window' }] });
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM acknowledged')).toBeLessThanOrEqual(writer.acknowledged().length + 1);
      await again.stop();
    },
  );
}
