import { open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readControl } from '../../src/inspection/state.ts';
import type { RestoreReport } from '../../src/restore/contract.ts';
import { serverUser } from '../harness/as-user.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { truncateTo } from '../harness/breaking.ts';
import { boot, type Ended, readStatus, run, start } from '../harness/dbkit.ts';
import { makeDirectory, treeOf } from '../harness/files.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { mountVolume, needsMounts } from '../harness/mount.ts';
import { until } from '../harness/processes.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { everywhere, isLongTier, nightly } from '../harness/tier.ts';

const [programs] = installed;
const newInstance = (from: 'template' | 'empty' = 'template'): Promise<Instance> => openInstance({ programs: programs!, from });
const ok = async (instance: Instance, ...words: string[]): Promise<Ended> => {
  const ended = await run(instance, words);
  expect(ended, ended.stderr + ended.stdout).toMatchObject({ code: 0 });
  return ended;
};
const reportOf = ({ stdout }: Ended): RestoreReport => (JSON.parse(stdout) as { report: RestoreReport }).report;
const labels = async (instance: Instance): Promise<string[]> =>
  (JSON.parse((await ok(instance, 'backup', 'list', '--json')).stdout) as { report: { backups: { label: string }[] } }).report.backups.map(
    ({ label }) => label,
  );

test('under a supervisor restore and undo are each other’s inverse, and the command lives on', async () => {
  const instance = await newInstance();
  const running = await boot(instance, { args: ['--', 'sleep', '600'] });
  await ok(instance, 'backup', 'create');
  await addRows(instance, known.ledger + 1, 10);
  const before = await readStatus(instance);

  const restored = reportOf(await ok(instance, 'backup', 'restore', 'latest', '--yes', '--json'));
  expect(restored).toMatchObject({ done: true, bootTest: { planned: true, databases: 4 }, target: { serverRuns: true } });
  expect(restored.downtimeMs).toBeLessThan(restored.durationMs);
  await expectAllRows(instance, 0);
  expect(await readdir(restored.target.quarantine!)).toEqual(expect.arrayContaining(['PG_VERSION', 'base', 'global']));

  expect((await ok(instance, 'backup', 'undo', '--yes')).stdout).toContain('brought back');
  await expectAllRows(instance, 10);
  await addRows(instance, known.ledger + 11, 5);
  expect(reportOf(await ok(instance, 'backup', 'undo', '--yes', '--json'))).toMatchObject({ done: true }); // Takes the undo back.
  await expectAllRows(instance, 0);
  await ok(instance, 'backup', 'undo', '--yes');
  await expectAllRows(instance, 15);

  const after = await readStatus(instance);
  expect(after?.pid, 'the supervisor is the same').toBe(before?.pid);
  expect(after?.services[0]).toMatchObject({ state: 'ready', restarts: 0 });
  expect(await readdir(join(instance.dataDir, '.dbkit'))).not.toContain('staged');
  await running.stop();
});

// offsite.live.test.ts restores without a supervisor each day, and starts what it has restored.
nightly.for(everywhere ? installed : installed.slice(0, 1))(
  'without a supervisor the swap is done directly and the next start is plain (PostgreSQL $major)',
  async (each) => {
    const instance = await openInstance({ programs: each, from: 'template' });
    await ok(instance, 'backup', 'create'); // Cold.
    const running = await boot(instance);
    await addRows(instance, known.ledger + 1, 10);
    await running.stop();
    const read = readControl(instance.dataDir);
    const { systemIdentifier } = 'control' in read ? read.control : expect.fail('pg_control cannot be read');
    const lost = {
      code: 'index.damaged',
      path: 'base/5/16384',
      evidence: 'the file is gone',
      severity: 'certain',
      since: '2026-01-01T00:00:00.000Z',
    };
    const memory = join(instance.stateDir, 'damage.json');
    await writeFile(memory, JSON.stringify({ schema: 'dbkit.damage/v1', systemIdentifier, entries: [lost] }));
    const report = reportOf(await ok(instance, 'backup', 'restore', 'latest', '--yes', '--json', '--no-boot-test'));
    expect(JSON.parse(await readFile(memory, 'utf8')), 'no damage is known of the data that is there now').toMatchObject({ entries: [] });
    expect(report).toMatchObject({ downtimeMs: null, bootTest: { planned: false } });
    const second = await boot(instance);
    await expectAllRows(instance, 0);
    expect(second.words()).not.toMatch(/recovery:/);
    await second.stop();

    await rm(instance.dataDir, { recursive: true });
    await makeDirectory(instance.dataDir, serverUser, 0o755);
    expect(reportOf(await ok(instance, 'backup', 'restore', 'latest', '--yes', '--json')).target.quarantine).toBeNull();
    const third = await boot(instance);
    await expectAllRows(instance, 0);
    await third.stop();
  },
);

test('an instance that is held is brought back; undo brings the damage back, and undo again the health', async () => {
  const instance = await newInstance();
  await ok(instance, 'backup', 'create');
  await configure(instance, { postgresql: { onFail: 'hold' }, recovery: { allow: ['repair'] } });
  await truncateTo(instance, 'global/pg_control', 0);
  const running = start(instance, ['entrypoint']);
  const state = async (): Promise<string | undefined> => (await readStatus(instance))?.services[0]?.state;
  await until(async () => (await state()) === 'held', running.words);
  const report = reportOf(await ok(instance, 'backup', 'restore', 'latest', '--yes', '--json'));
  expect(report.downtimeMs, 'nothing answered all the while').toBe(report.durationMs);
  await expectAllRows(instance, 0);
  expect(await run(instance, ['backup', 'undo', '--yes'])).toMatchObject({ code: 69, stderr: expect.stringContaining('backup undo') });
  expect(await state()).toBe('held');
  await ok(instance, 'backup', 'undo', '--yes');
  await expectAllRows(instance, 0);
  expect((await running.stop()).code).toBe(0);
});

nightly('a plan touches nothing, and without a terminal it takes --yes', async () => {
  const instance = await newInstance();
  await ok(instance, 'backup', 'create');
  const look = () => treeOf(instance.root, ['logs']);
  const before = await look();
  expect((await ok(instance, 'backup', 'restore', 'latest', '--dry-run')).stdout).toMatch(
    /restore +data_[\s\S]*today's data +is kept whole/,
  );
  expect(await run(instance, ['backup', 'restore', 'latest'])).toMatchObject({ code: 77, stderr: expect.stringContaining('--yes') });
  expect(await run(instance, ['backup', 'restore'])).toMatchObject({ code: 2, stderr: expect.stringContaining('no backup is named') });
  expect(await run(instance, ['backup', 'undo', '--yes'])).toMatchObject({ code: 1, stderr: expect.stringContaining('nothing to undo') });
  expect(await look()).toEqual(before);
});

test('a damaged backup is noticed while it is copied: the server goes on, nothing has changed', async () => {
  const instance = await newInstance();
  const running = await boot(instance);
  await ok(instance, 'backup', 'create');
  const [label] = await labels(instance);
  const file = await open(join(instance.backupDir, label!, instance.places.ledger), 'r+');
  await file.write(Buffer.from('x'), 0, 1, 100);
  await file.close();
  const ended = await run(instance, ['backup', 'restore', label!, '--yes']);
  expect(ended).toMatchObject({ code: 65, stderr: expect.stringMatching(/is damaged: .*HINT: /s) });
  await expectAllRows(instance, 0);
  expect(await readdir(join(instance.dataDir, '.dbkit'))).not.toContain('staged');
  expect(await readdir(join(instance.backupDir, 'quarantine')).catch(() => [])).toEqual([]);
  expect((await running.stop()).code).toBe(0);
});

test('a backup that cannot work here is refused before anything moves', async () => {
  const instance = await newInstance();
  await ok(instance, 'backup', 'create');
  const [label] = await labels(instance);
  const record = join(instance.backupDir, `${label}.json`);
  const text = await readFile(record, 'utf8');
  const edit = (from: RegExp, to: string): Promise<void> => writeFile(record, text.replace(from, to));
  const look = () => treeOf(instance.dataDir, ['.dbkit']);
  const before = await look();
  await edit(/"pgVersion":\d+/, '"pgVersion":12');
  expect(await run(instance, ['backup', 'restore', label!, '--yes'])).toMatchObject({
    code: 78,
    stderr: expect.stringContaining('PostgreSQL 12'),
  });
  await edit(/"sizeBytes":\d+/, `"sizeBytes":${2 ** 50}`);
  expect(await run(instance, ['backup', 'restore', label!, '--yes'])).toMatchObject({ code: 69, stderr: expect.stringContaining('PiB') });
  expect(await look()).toEqual(before);
});

nightly('who asks may leave while the copy is made: it is dropped, and the server goes on', async () => {
  const instance = await newInstance();
  const running = await boot(instance);
  await ask(instance, 'app', 'CREATE TABLE bulk AS SELECT repeat(md5(i::text), 30) AS filler FROM generate_series(1, 150000) i');
  await ok(instance, 'backup', 'create');
  const staged = (): Promise<boolean> => readdir(join(instance.dataDir, '.dbkit')).then((names) => names.includes('staged'));
  const asking = start(instance, ['backup', 'restore', 'latest', '--yes']);
  await until(staged, () => `nothing is staged:\n${asking.words()}`);
  expect(await asking.stop('SIGINT')).toMatchObject({ code: 130 });
  await until(
    async () => !(await staged()),
    () => `what was staged is still there:\n${running.words()}`,
  );
  await expectAllRows(instance, 0);
  expect((await running.stop()).code).toBe(0);
});

test.skipIf(!isLongTier || needsMounts())('PGDATA may be a mount point, with a tablespace elsewhere', async () => {
  const instance = await newInstance();
  await mountVolume(instance, 'size=400m');
  const running = await boot(instance);
  const place = join(instance.root, 'space');
  await makeDirectory(place, serverUser, 0o700);
  await ask(instance, 'app', `CREATE TABLESPACE space LOCATION '${place}'`);
  await ask(instance, 'app', 'CREATE TABLE elsewhere TABLESPACE space AS SELECT g FROM generate_series(1, 100) g');
  await ok(instance, 'backup', 'create');
  await ask(instance, 'app', 'INSERT INTO elsewhere SELECT 1');
  await ok(instance, 'backup', 'restore', 'latest', '--yes');
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM elsewhere')).toBe(100);
  await ok(instance, 'backup', 'undo', '--yes');
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM elsewhere')).toBe(101);
  await expectAllRows(instance, 0);
  expect((await running.stop()).code).toBe(0);
});
