import { expect } from 'vitest';
import { crash, truncateTo } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'pg_control is empty after a restore by hand: the abandoned past has newer backups',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance);
    await takeBackup(instance);
    const { stdout } = await run(instance, ['backup', 'list', '--json']);
    const [first] = (JSON.parse(stdout) as { report: { backups: { label: string }[] } }).report.backups;
    await addRows(instance, known.ledger + 1, 10);
    await takeBackup(instance); // Of what the person does not want.
    expect(await run(instance, ['backup', 'restore', first!.label, '--yes'])).toMatchObject({ code: 0 });
    await expectAllRows(instance, 0);
    await crash(instance, running);
    await truncateTo(instance, 'global/pg_control', 0);
    const again = await boot(instance);
    expect(again.words()).toMatch(/restore/);
    await expectAllRows(instance, 0);
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    name: 'pg_control is empty after a restore by hand and a backup of what it brought back',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance);
    await takeBackup(instance);
    await addRows(instance, known.ledger + 1, 10);
    expect(await run(instance, ['backup', 'restore', 'latest', '--yes'])).toMatchObject({ code: 0 });
    await takeBackup(instance);
    await addRows(instance, known.ledger + 1, 7);
    await crash(instance, running);
    await truncateTo(instance, 'global/pg_control', 0);
    const again = await boot(instance);
    await expectAllRows(instance, 7);
    await expectStopped(instance, await again.stop());
  },
);
