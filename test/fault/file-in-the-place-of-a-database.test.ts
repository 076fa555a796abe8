import { rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { crash } from '../harness/breaking.ts';
import { boot, readRecovery, run } from '../harness/dbkit.ts';
import { ownedBy } from '../harness/files.ts';
import type { Instance } from '../harness/instance.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

/** The folder of the database archive is a file now. */
async function strike(instance: Instance, path: string): Promise<void> {
  const folder = join(instance.dataDir, path);
  await rm(folder, { recursive: true });
  await writeFile(folder, '');
  await ownedBy(folder, serverUser);
}

const folderOf = async (instance: Instance): Promise<string> => {
  const [row] = await ask<{ path: string }>(instance, 'archive', `SELECT pg_relation_filepath('ledger') AS path`);
  return dirname(row!.path);
};

scenario(
  {
    name: 'a file stands in the place of a database’s folder after a crash, and there is a backup',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'none: rolled forward to the last commit',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    expect((await run(instance, ['backup', 'create'])).code).toBe(0);
    await addRows(instance, 1_000_001, 50);
    const path = await folderOf(instance);
    await crash(instance, first);
    await strike(instance, path);
    const again = await boot(instance);
    await expectAllRows(instance, 50);
    expect((await readRecovery(instance))?.decision, again.words()).toBe('restore');
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    name: 'a file stands in the place of a database’s folder after a crash, and there is no backup: the others are served, and it is told',
    section: 'C',
    detectedBefore: true,
    healedBy: 'serving the rest',
    rowsLost: 'those of that database',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    const path = await folderOf(instance);
    await crash(instance, first);
    await strike(instance, path);
    const again = await boot(instance);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger'), again.words()).toBe(known.ledger);
    const losses = (await readRecovery(instance))?.losses;
    expect(losses).toContainEqual(expect.objectContaining({ path: expect.stringMatching(new RegExp(`^${path}/`)) }));
    await expectStopped(instance, await again.stop());
  },
);

for (const isBackedUp of [true, false])
  scenario(
    {
      name: `a file stands in the place of a database’s folder after a clean stop, the state folder is gone, and there is ${isBackedUp ? 'a' : 'no'} backup`,
      section: 'C',
      detectedBefore: true,
      healedBy: isBackedUp ? 'restore' : 'serving the rest',
      rowsLost: isBackedUp ? 'none: rolled forward to the last commit' : 'those of that database',
      from: 'template',
    },
    async (instance) => {
      const first = await boot(instance);
      if (isBackedUp) expect((await run(instance, ['backup', 'create'])).code).toBe(0);
      await addRows(instance, 1_000_001, 50);
      const path = await folderOf(instance);
      await expectStopped(instance, await first.stop());
      await strike(instance, path);
      await rm(instance.stateDir, { recursive: true });
      const again = await boot(instance);
      const report = await readRecovery(instance);
      if (isBackedUp) await expectAllRows(instance, 50);
      else {
        expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger + 50);
        expect(JSON.stringify(report?.losses), again.words()).toContain(path);
      }
      expect(report?.decision, again.words()).toBe(isBackedUp ? 'restore' : 'repair');
      await expectStopped(instance, await again.stop());
    },
  );
