import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import { crash, truncateTo } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { addRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectRowsOfTheBackup, takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'pg_control is empty and the newest WAL is gone after a crash: a backup that is rolled forward does not come to the end',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'those in the WAL that is gone; the report tells from where on',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance);
    await takeBackup(instance);
    for (let round = 0; round < 3; round += 1) {
      await addRows(instance, known.ledger + 1 + round * 10, 10);
      await ask(instance, 'app', 'SELECT pg_switch_wal()');
    }
    await addRows(instance, known.ledger + 31, 10);
    await crash(instance, running);
    const wal = join(instance.dataDir, 'pg_wal');
    const names = (await readdir(wal)).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
    for (const name of names.slice(-2)) await rm(join(wal, name));
    await truncateTo(instance, 'global/pg_control', 0);
    const again = await boot(instance);
    await expectRowsOfTheBackup(instance);
    expect(await readRecovery(instance), again.words()).toMatchObject({ decision: 'restore', losses: [{ kind: 'window' }] });
    await expectStopped(instance, await again.stop());
  },
);
