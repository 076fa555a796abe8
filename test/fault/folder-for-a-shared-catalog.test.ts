import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { makeDirectory } from '../harness/files.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

for (const isBackedUp of [true, false])
  scenario(
    {
      name: `a folder stands in the place of pg_database after a clean stop, and there is ${isBackedUp ? 'a' : 'no'} backup`,
      section: isBackedUp ? 'B' : 'D',
      detectedBefore: true,
      healedBy: isBackedUp ? 'repair' : 'reinitialize',
      rowsLost: isBackedUp ? 'none' : 'all, and told so; the old data is whole in the quarantine',
      from: 'template',
    },
    async (instance) => {
      const first = await boot(instance);
      if (isBackedUp) await takeBackup(instance);
      await expectStopped(instance, await first.stop());
      const path = join(instance.dataDir, 'global/1262');
      await rm(path);
      await makeDirectory(path, serverUser, 0o700);

      const running = await boot(instance);
      const report = await readRecovery(instance);
      expect(report?.findings, running.words()).toContainEqual(expect.objectContaining({ code: 'catalog.missing', path: 'global/1262' }));
      if (isBackedUp) {
        expect(report?.lost).toBe('nothing');
        await expectAllRows(instance, 0);
      } else expect(report).toMatchObject({ decision: 'reinitialize', losses: [{ kind: 'cluster' }], quarantine: expect.any(String) });
      await expectStopped(instance, await running.stop());
    },
  );
