import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { ownedBy } from '../harness/files.ts';
import type { Instance } from '../harness/instance.ts';
import { killAllIn } from '../harness/processes.ts';
import { known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';

const LEFT = 77_777;

/** As far as the copying of template1 had come (copydir.c goes through a folder in no order); the file that was being written is empty. */
const halves: Readonly<Record<string, readonly string[]>> = {
  'not even its version': [],
  'no pg_filenode.map': ['PG_VERSION', '1259', '1255'],
  'no catalogs': ['PG_VERSION', 'pg_filenode.map'],
};

async function leaveHalf({ dataDir }: Instance, copied: readonly string[]): Promise<void> {
  const left = join(dataDir, 'base', String(LEFT));
  await mkdir(left, { mode: 0o700 });
  for (const name of copied) await copyFile(join(dataDir, 'base', '1', name), join(left, name));
  await writeFile(join(left, '1249'), '');
  for (const path of [left, ...(await readdir(left)).map((name) => join(left, name))]) await ownedBy(path, serverUser);
}

async function expectNobodyMissesIt(instance: Instance): Promise<void> {
  const running = await boot(instance);
  expect(running.words()).not.toMatch(/damaged|not mended|restoring/);
  expect(await readdir(join(instance.backupDir, 'quarantine')).catch(() => [])).toEqual([]);
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger);
  await running.stop();
}

const class_ = (name: string) => ({ name, section: 'A', healedBy: 'start', rowsLost: 'none', from: 'template' }) as const;

scenario(
  {
    ...class_('a CREATE DATABASE was killed and left a folder with half of its files, and there is a backup: nobody misses the rest'),
    detectedBefore: true,
  },
  async (instance) => {
    const first = await boot(instance);
    expect((await run(instance, ['backup', 'create'])).code).toBe(0);
    await first.stop();
    await leaveHalf(instance, halves['no catalogs']!);
    await expectNobodyMissesIt(instance);
  },
);

for (const [name, copied] of Object.entries(halves))
  scenario(
    { ...class_(`the power went in the middle of a CREATE DATABASE, of which the folder has ${name}`), detectedBefore: true },
    async (instance) => {
      const first = await boot(instance);
      expect((await run(instance, ['backup', 'create'])).code).toBe(0);
      await killAllIn(instance.root);
      await first.ended;
      await leaveHalf(instance, copied);
      await expectNobodyMissesIt(instance);
      await expectNobodyMissesIt(instance);
    },
  );
