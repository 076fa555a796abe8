import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { ask, askNumber, askText } from '../harness/ask.ts';
import { crash } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { makeDirectory } from '../harness/files.ts';
import { scenario } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

const kinds = [
  { of: 'scratch', what: 'an unlogged table', isBackedUp: false },
  { of: 'scratch_i', what: 'an index of an unlogged table', isBackedUp: false },
  { of: 'scratch_n', what: 'an unlogged sequence', isBackedUp: true, majors: [15, 16, 17, 18] },
];

for (const { of, what, isBackedUp, majors } of kinds)
  scenario(
    {
      name: `a folder stands in the place of the file from which crash recovery fills ${what}`,
      section: isBackedUp ? 'C' : 'B',
      detectedBefore: true,
      healedBy: isBackedUp ? 'restore' : 'repair',
      rowsLost: 'none (an unlogged table is emptied by every crash)',
      from: 'template',
      ...(majors ? { majors } : {}),
    },
    async (instance) => {
      const first = await boot(instance);
      await ask(
        instance,
        'app',
        'CREATE INDEX scratch_i ON scratch (i)',
        ...(majors ? ['CREATE UNLOGGED SEQUENCE scratch_n'] : []),
        'CHECKPOINT',
      );
      if (isBackedUp) await takeBackup(instance);
      const path = join(instance.dataDir, `${await askText(instance, 'app', `SELECT pg_relation_filepath('${of}')`)}_init`);
      await crash(instance, first);
      await rm(path);
      await makeDirectory(path, serverUser, 0o700);

      const running = await boot(instance);
      expect((await readRecovery(instance))?.lost, running.words()).toBe('nothing');
      await expectOtherTables(instance);
      await ask(instance, 'app', 'INSERT INTO scratch SELECT generate_series(1, 500)', 'SET enable_seqscan = off');
      if (majors) expect(await askNumber(instance, 'app', "SELECT nextval('scratch_n')")).toBe(1);
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM scratch WHERE i = 77')).toBe(1);
      await crash(instance, running);
      const again = await boot(instance);
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM scratch')).toBe(0);
      await expectStopped(instance, await again.stop());
    },
  );
