import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { askNumber } from '../harness/ask.ts';
import { boot, type Running, run, start } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { killAllIn, until } from '../harness/processes.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { random, rounds } from './random.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

const KILLS = 5;
const ROWS = 20;
/** As long as most of these take. */
const WINDOW_MS = 2_500;
const works: readonly (readonly string[])[] = [
  ['create', '--full'],
  ['create'],
  ['restore', 'latest', '--yes'],
  ['undo', '--yes'],
  ['cleanup'],
  ['verify', '--all'],
  ['drill', 'latest'],
  ['create', '--engine', 'dump', '--database', 'app'],
];

/** `npm run test:fault -- --random`: fifty kills. */
for (const seed of rounds({ daily: 1, random: 10 }))
  scenario(
    {
      longTier: true,
      name: `any process of dbkit's was killed at any time (${seed})`,
      section: 'A',
      detectedBefore: false,
      healedBy: 'start',
      rowsLost: 'none',
      from: 'template',
    },
    async (instance) => {
      let running = await boot(instance);
      await takeBackup(instance);
      /** How many rows there may be: those now, and those of every backup once one may have been restored. */
      let added = 0;
      const ofBackups = new Set([0]);
      let mayBeOlder = false;
      for (let kill = 1; kill <= KILLS; kill += 1) {
        const dice = (of: number): number => random(seed * 100 + kill * 10 + of);
        await addRows(instance, 1_000_000 * kill, ROWS);
        added += ROWS;
        const words = works[Math.floor(dice(1) * works.length)]!;
        mayBeOlder ||= ['restore', 'undo'].includes(words[0]!);
        if (words[0] === 'create') ofBackups.add(added);
        running = await strike(instance, running, words, dice);
        const found = await rowsOf(instance);
        const what = `kill ${kill} of seed ${seed}, during ${words.join(' ')}`;
        if (found !== added) expect([...(mayBeOlder ? ofBackups : [])], what).toContain(found);
        added = found;
        ofBackups.add(found); // A restore is followed by a backup.
        await expectAllRows(instance, added);
      }
      await expectNothingLeft(instance);
      await expectAllRows(instance, await rowsOf(instance));
      await expectStopped(instance, await running.stop());
    },
  );

/** Kills the command; with it the supervisor, or everything that there is. Resolves to the supervisor that serves then. */
async function strike(instance: Instance, running: Running, words: readonly string[], dice: (of: number) => number): Promise<Running> {
  const command = start(instance, ['backup', ...words]);
  await sleep(dice(2) * WINDOW_MS);
  const whom = Math.floor(dice(3) * 3);
  await command.stop('SIGKILL');
  if (whom === 0) return running;
  if (whom === 1) await running.stop('SIGKILL');
  else await killAllIn(instance.root);
  await running.ended;
  return boot(instance);
}

/** The rows beyond the known ones, as soon as somebody says: a restore that was asked for may be going on. */
async function rowsOf(instance: Instance): Promise<number> {
  let found = -1;
  const answers = (): Promise<boolean> =>
    askNumber(instance, 'app', 'SELECT count(*) FROM ledger').then(
      (rows) => {
        found = rows - known.ledger;
        return true;
      },
      () => false,
    );
  await until(answers, () => 'the server does not serve again');
  return found;
}

async function expectNothingLeft(instance: Instance): Promise<void> {
  for (const words of [['create'], ['verify', '--all'], ['cleanup']]) {
    const ended = await run(instance, ['backup', ...words]);
    expect(ended, ended.stdout + ended.stderr).toMatchObject({ code: 0 });
  }
  expect((await readdir(join(instance.backupDir, '.partial'))).filter((name) => !name.startsWith('.'))).toEqual([]);
  const labels = (await readdir(instance.backupDir)).filter((name) => /^data_\d{8}_\d{6}$/.test(name));
  const program = join(instance.programs.directory, 'pg_verifybackup');
  for (const label of labels) {
    expect(existsSync(join(instance.backupDir, `${label}.json`)), `${label} has its record`).toBe(true);
    if (existsSync(program)) expect(spawnSync(program, ['--quiet', join(instance.backupDir, label)]).status, label).toBe(0);
  }
}
