import { copyFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import { boot, type Ended, run, start } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { until } from '../harness/processes.ts';
import { addRows, expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { random, rounds } from './random.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

const CALLS_MAX = 400;
const failures = ['EIO', 'ENOSPC', 'EMFILE', 'EROFS'] as const;
/** Of an instance whose server is stopped, so that the process that fails is the one that works on the data. */
const works: readonly (readonly string[])[] = [
  ['backup', 'create', '--full'],
  ['backup', 'restore', 'latest', '--yes'],
  ['entrypoint'],
  ['backup', 'verify', '--all'],
  ['backup', 'undo', '--yes'],
  ['backup', 'create'],
  ['backup', 'cleanup'],
  ['inspect', '--deep'],
  ['backup', 'drill', 'latest'],
];

for (const seed of rounds({ daily: 1, random: 25 }))
  scenario(
    {
      name: `the file system fails at any call of dbkit's (${seed})`,
      section: 'A',
      detectedBefore: false,
      healedBy: 'start',
      rowsLost: 'none',
      from: 'template',
    },
    async (instance) => {
      const running = await boot(instance);
      await addRows(instance, 1_000_001, 50);
      await expectStopped(instance, await running.stop());
      await takeBackup(instance);
      const preload = join(instance.root, 'failing-files.mjs'); // Threads load it as the server's user.
      await copyFile(fileURLToPath(new URL('./failing-files.mjs', import.meta.url)), preload);
      for (const [turn, words] of works.entries()) {
        const dice = (of: number): number => random(seed * 100 + turn * 10 + of);
        const code = failures[Math.floor(dice(1) * failures.length)]!;
        const at = Math.ceil(CALLS_MAX ** dice(2));
        const plan = { below: instance.root, code, at, forGood: dice(3) < 0.5 };
        const env = { NODE_OPTIONS: `--import=${preload}`, DBKIT_TEST_FILES_FAIL: JSON.stringify(plan) };
        const ended = await playOut(instance, words, env);
        const what = `${words.join(' ')} with ${JSON.stringify(plan)}:\n${ended.stdout}${ended.stderr}`;
        expect(ended.code, what).not.toBe(70);
        expect(ended.stderr, what).not.toMatch(/bug in dbkit/);
      }
      await expectRight(instance);
    },
  );

/** To its end; a boot that gets as far as serving is stopped again. */
async function playOut(instance: Instance, words: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
  if (words[0] !== 'entrypoint') return run(instance, words, { env });
  const running = start(instance, words, { env });
  let isOver = false;
  void running.ended.then(() => {
    isOver = true;
  });
  const serves = (): Promise<boolean> =>
    ask(instance, 'app', 'SELECT').then(
      () => true,
      () => isOver,
    );
  await until(serves, () => `dbkit neither serves nor ends:\n${running.words()}`);
  return running.stop();
}

/** Without failures again: every row, a backup that verifies, and nothing left over. */
async function expectRight(instance: Instance): Promise<void> {
  const running = await boot(instance);
  await expectAllRows(instance, 50);
  for (const words of [['create'], ['verify', '--all'], ['cleanup']]) {
    const ended = await run(instance, ['backup', ...words]);
    expect(ended, ended.stdout + ended.stderr).toMatchObject({ code: 0 });
  }
  await expectAllRows(instance, 50);
  await expectStopped(instance, await running.stop());
  expect((await readdir(join(instance.backupDir, '.partial'))).filter((name) => !name.startsWith('.'))).toEqual([]);
  const inside = await readdir(join(instance.dataDir, '.dbkit'));
  expect(inside.filter((name) => /^(incoming|staged|temporary|journal)|\.tmp$/.test(name))).toEqual([]);
}
