import { copyFile, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { fillSpace, freeVolume, mountVolume, needsMounts } from '../harness/mount.ts';
import { expectAllRows } from '../harness/rows.ts';
import type { Class } from './declaration.ts';
import { scenario } from './disaster.ts';
import { backupsOf, deltasOf, expectAllWhole, expectNewestIsPlain, makeSpread, spreadRows, updateSpread, versionsIn } from './spread.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

const kind = {
  section: 'A',
  detectedBefore: false,
  rowsLost: 'none',
  from: 'template',
  longTier: true,
} as const satisfies Partial<Class> & {
  from: 'template';
};

/** Two backups; the older one keeps the pages that it had. */
async function twoBackups(instance: Instance): Promise<void> {
  await makeSpread(instance);
  await takeBackup(instance);
  await updateSpread(instance, 1);
  await takeBackup(instance);
  const [newest, oldest] = await backupsOf(instance);
  expect([newest?.isPlain, oldest?.isPlain]).toEqual([true, false]);
}

for (const [what, spoil] of [
  ['torn', async (path: string) => truncate(path, (await readFile(path)).length - 40)],
  ['missing', (path: string) => rm(path)],
  [
    'flipped',
    async (path: string) => {
      const bytes = await readFile(path);
      bytes[100]! ^= 1;
      await writeFile(path, bytes);
    },
  ],
] as const)
  scenario({ ...kind, name: `the earlier pages of a backup are ${what}`, healedBy: 'refusal' }, async (instance) => {
    const running = await boot(instance);
    await twoBackups(instance);
    const [newest, oldest] = await backupsOf(instance);
    for (const delta of await deltasOf(oldest!)) await spoil(delta);
    const refused = await run(instance, ['backup', 'restore', oldest!.label, '--yes']);
    expect(refused, refused.stderr).toMatchObject({ code: 65, stderr: expect.stringMatching(/damaged[\s\S]*HINT: /) });
    await expectAllRows(instance, 0);
    expect(await run(instance, ['backup', 'verify', oldest!.label])).toMatchObject({ code: 65 });
    expect(await run(instance, ['backup', 'verify', newest!.label, '--deep']), 'the newer one needs nothing of it').toMatchObject({
      code: 0,
    });
    await expectNewestIsPlain(instance);
    const restored = await run(instance, ['backup', 'restore', newest!.label, '--yes']);
    expect(restored, restored.stderr).toMatchObject({ code: 0 });
    await expectAllRows(instance, 0);
    expect(await versionsIn(instance)).toBe(spreadRows / 2000 + 6);
    await expectStopped(instance, await running.stop());
  });

scenario({ ...kind, name: 'an earlier backup is restored after the newer ones are gone', healedBy: 'start' }, async (instance) => {
  const running = await boot(instance);
  await twoBackups(instance);
  const [newest, oldest] = await backupsOf(instance);
  await rm(newest!.path, { recursive: true });
  await rm(`${newest!.path}.json`);
  const restored = await run(instance, ['backup', 'restore', oldest!.label, '--yes', '--discard-newer']);
  const again = restored.code === 0 ? restored : await run(instance, ['backup', 'restore', oldest!.label, '--yes']);
  expect(again, again.stderr).toMatchObject({ code: 0 });
  await expectAllRows(instance, 0);
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM spread WHERE id <= 60000')).toBe(spreadRows);
  await takeBackup(instance);
  await expectAllWhole(instance);
  await expectNewestIsPlain(instance);
  await expectStopped(instance, await running.stop());
});

scenario(
  { ...kind, name: 'the repository is full while a backup puts earlier pages aside', healedBy: 'refusal', needs: needsMounts },
  async (instance) => {
    await mountVolume(instance, 'size=400m', instance.backupDir);
    const running = await boot(instance);
    await makeSpread(instance);
    await takeBackup(instance);
    await updateSpread(instance, 1);
    await fillSpace(instance, instance.backupDir);
    const refused = await run(instance, ['maintenance', 'backup']);
    expect(refused, refused.stderr).toMatchObject({ code: 69 });
    await expectAllWhole(instance);
    await expectNewestIsPlain(instance);
    await freeVolume({ ...instance, dataDir: instance.backupDir });
    await takeBackup(instance);
    expect((await backupsOf(instance)).map(({ isPlain }) => isPlain)).toEqual([true, false]);
    await expectAllWhole(instance);
    await expectNewestIsPlain(instance);
    await expectAllRows(instance, 0);
    await expectStopped(instance, await running.stop());
  },
);

for (const code of ['ENOSPC', 'EIO'] as const)
  scenario(
    { ...kind, name: `each write fails (${code}) while a backup takes files over`, healedBy: 'refusal', timeoutMs: 600_000 },
    async (instance) => {
      const running = await boot(instance);
      await makeSpread(instance);
      await takeBackup(instance);
      await updateSpread(instance, 1);
      const preload = join(instance.root, 'failing-files.mjs');
      await copyFile(fileURLToPath(new URL('./failing-files.mjs', import.meta.url)), preload);
      const [{ path } = { path: '' }] = await backupsOf(instance);
      for (let at = 1; ; at += at < 20 ? 1 : 7) {
        const env = {
          NODE_OPTIONS: `--import=${preload}`,
          DBKIT_TEST_FILES_FAIL: JSON.stringify({ below: join(path, '.pages'), code, at, forGood: false }),
        };
        const ended = await run(instance, ['maintenance', 'backup'], { env });
        await expectAllWhole(instance);
        if (ended.code === 0) break;
        expect(ended.code, ended.stderr).not.toBe(70);
        await expectNewestIsPlain(instance);
      }
      expect((await backupsOf(instance)).map(({ isPlain }) => isPlain)).toEqual([true, false]);
      await expectNewestIsPlain(instance);
      await expectAllRows(instance, 0);
      await expectStopped(instance, await running.stop());
    },
  );
