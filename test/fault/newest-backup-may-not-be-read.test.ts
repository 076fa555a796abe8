import { chmod, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { isRoot, serverUser } from '../harness/as-user.ts';
import { remove } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import { makeDirectory } from '../harness/files.ts';
import type { Instance } from '../harness/instance.ts';
import { needsReachableProgram } from '../harness/permissions.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped, quarantined } from './verdict.ts';

const losses = [
  { what: 'the data is lost with its WAL', lose: (instance: Instance) => remove(instance, 'global', 'pg_wal') },
  {
    what: 'the data directory is empty, and so is the state folder',
    lose: async (instance: Instance) => {
      await remove(instance, ...(await readdir(instance.dataDir)));
      await rm(instance.stateDir, { recursive: true });
      await makeDirectory(instance.stateDir, serverUser);
    },
  },
];

for (const { what, lose } of losses)
  scenario(
    {
      name: `${what}, and the record of the newest backup may not be read (mode 0000); an older one may`,
      section: 'D',
      detectedBefore: true,
      healedBy: 'refusal',
      rowsLost: 'none: rows that the newest backup holds are not given up for a mode',
      needs: () => (isRoot ? needsReachableProgram() : undefined),
      from: 'template',
      longTier: true,
    },
    async (instance) => {
      await makeDirectory(instance.stateDir, serverUser);
      const running = await boot(instance);
      await takeBackup(instance);
      await addRows(instance, known.ledger + 1, 50);
      await takeBackup(instance);
      await expectStopped(instance, await running.stop());
      await lose(instance);
      const records = (await readdir(instance.backupDir)).filter((name) => /^data_.*\.json$/.test(name)).sort();
      expect(records).toHaveLength(2);
      const newest = join(instance.backupDir, records[1]!);
      await chmod(newest, 0);
      const held = await run(instance, ['entrypoint'], { as: serverUser });
      await chmod(newest, 0o600);
      expect(held, held.stderr).toMatchObject({ code: 77, stderr: expect.stringMatching(/backups cannot be read[\s\S]*BACKUP_DIR/) });
      expect(await quarantined(instance)).toEqual([]);
      const again = await boot(instance, { as: serverUser });
      await expectAllRows(instance, 50);
      await expectStopped(instance, await again.stop());
    },
  );
