import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import { crash, remove, zero } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'the transaction status file is gone, and the copy that was kept of it holds zeros only',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'none: a copy that is not what was kept is not used, and the backup with the WAL since holds every row',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance);
    await takeBackup(instance);
    await addRows(instance, known.ledger + 1, 10);
    await expectStopped(instance, await running.stop());
    const kept = join(instance.stateDir, 'kept/pg_xact/0000');
    await writeFile(kept, Buffer.alloc((await readFile(kept)).length));
    await remove(instance, 'pg_xact/0000');
    const again = await boot(instance);
    await expectAllRows(instance, 10);
    expect(await readRecovery(instance), again.words()).toMatchObject({
      decision: 'restore',
      losses: [{ kind: 'unlogged' }], // The template's unlogged table is emptied by a restore, which says so; nothing else is lost.
    });
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    name: 'the transaction status file holds zeros only after a crash, and there is no backup',
    section: 'B',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none: the copies of the last clean stop and the WAL since hold everything',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await addRows(instance, known.ledger + 1, 10);
    await expectStopped(instance, await first.stop());
    const running = await boot(instance);
    await addRows(instance, known.ledger + 11, 10);
    await ask(instance, 'app', 'CHECKPOINT');
    await addRows(instance, known.ledger + 21, 10);
    await crash(instance, running);
    await zero(instance, 'pg_xact/0000');
    const again = await boot(instance);
    await expectAllRows(instance, 30);
    expect(await readRecovery(instance), again.words()).toMatchObject({ decision: 'repair', lost: 'nothing' });
    await expectStopped(instance, await again.stop());
  },
);
