import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { StatusReport } from '../../src/supervisor/report-status.ts';
import { ask } from '../harness/ask.ts';
import { postmasterOf } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { expectAllRows } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const [programs] = installed;
const open = () => openInstance({ programs: programs!, from: 'template' });

test('whatever is asked about another data directory never reaches the one that is supervised', async () => {
  const instance = await open();
  const running = await boot(instance);
  const before = await postmasterOf(instance);
  expect((await run(instance, ['backup', 'create'])).code).toBe(0);
  const other = join(instance.root, 'other');
  await mkdir(other);
  for (const words of [
    ['recover', '--strategy', 'reinitialize', '--yes'],
    ['recover', '--strategy', 'restore', '--yes'],
    ['recover', '--dry-run'],
    ['backup', 'restore', 'latest', '--yes'],
    ['backup', 'undo', '--yes'],
    ['up', '--detach'],
    ['restart'],
    ['down'],
  ]) {
    const ended = await run(instance, [...words, '--data-dir', other]);
    expect(ended, `${words.join(' ')}: ${ended.stderr}${ended.stdout}`).toMatchObject({ code: 77 });
    expect(ended.stderr).toContain(instance.dataDir);
  }
  const { code, stderr } = await run(instance, ['entrypoint', '--data-dir', other]);
  expect([code, stderr]).toEqual([77, expect.stringContaining(instance.dataDir)]);
  expect(await postmasterOf(instance), 'it was never stopped').toBe(before);
  await expectAllRows(instance, 0);
  await running.stop();
});

nightly('a plan that is only looked at leaves the lock with the supervisor: a restore and its undo work afterwards', async () => {
  const instance = await open();
  const running = await boot(instance);
  expect((await run(instance, ['backup', 'create'])).code).toBe(0);
  const plan = await run(instance, ['recover', '--strategy', 'reinitialize', '--dry-run']);
  expect(plan.stdout).toMatch(/would reinitialize[\s\S]+data: .+, cluster \d+/);
  expect(plan.stdout).toContain(instance.dataDir);
  for (const words of [
    ['backup', 'restore', 'latest'],
    ['backup', 'undo'],
  ]) {
    const ended = await run(instance, [...words, '--yes']);
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
  }
  await expectAllRows(instance, 0);
  await running.stop();
});

test('starting anew on sound data is taken back by undo, and the history names every replacement and who asked', async () => {
  const instance = await open();
  const running = await boot(instance);
  const anew = await run(instance, ['recover', '--strategy', 'reinitialize', '--yes', '--json']);
  expect(anew, anew.stderr).toMatchObject({ code: 0 });
  expect((JSON.parse(anew.stdout) as { report: { quarantine: string } }).report.quarantine).toMatch(/\/replaced_\d+_\d+$/);
  await ask(instance, 'postgres', 'CREATE TABLE of_the_new_one ()');
  const undone = await run(instance, ['backup', 'undo', '--yes']);
  expect(undone, undone.stderr).toMatchObject({ code: 0 });
  await expectAllRows(instance, 0);
  const history = JSON.parse((await run(instance, ['recover', 'history', '--json'])).stdout) as {
    report: { recoveries: { decision: string; trigger: string; because: string }[] };
  };
  expect(history.report.recoveries.slice(0, 2)).toMatchObject([
    { decision: 'restore', trigger: 'person', because: expect.stringContaining('bringing back replaced_') as string },
    { decision: 'reinitialize', trigger: 'person' },
  ]);
  const status = JSON.parse((await run(instance, ['status', '--json'])).stdout) as { report: StatusReport };
  expect(status.report.lastRecovery?.decision).toBe('restore');
  await running.stop();
});
