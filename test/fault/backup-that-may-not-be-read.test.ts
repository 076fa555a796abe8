import { chmod, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { remove } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import { treeOf } from '../harness/files.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'what a restore needs is in the one backup, whose folder nobody may read',
    section: 'C',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none: the next start restores, once it may be read',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await takeBackup(instance);
    await expectStopped(instance, await first.stop());
    await remove(instance, 'global');
    const label = (await readdir(instance.backupDir)).find((name) => /^data_\d+_\d+$/.test(name))!;
    const folder = join(instance.backupDir, label);
    await chmod(folder, 0);
    const before = await treeOf(instance.dataDir, ['.dbkit']);
    const refused = await run(instance, ['entrypoint']);
    expect(refused, refused.stderr).toMatchObject({ code: 77 });
    expect(refused.stderr).toContain(`cannot restore ${label}: permission denied`);
    expect(refused.stderr).toMatch(/ls -ld/);
    expect(await treeOf(instance.dataDir, ['.dbkit'])).toEqual(before);

    await chmod(folder, 0o700);
    const running = await boot(instance);
    await expectAllRows(instance, 0);
    await expectStopped(instance, await running.stop());
  },
);
