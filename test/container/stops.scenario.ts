import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Box, type Volumes, volumes } from './box.ts';
import { note, run, until } from './tools.ts';

const STOP_MS_MAX = 3000;
const ROWS = 400_000;
let disk: Volumes;
let box: Box;

beforeAll(async () => {
  disk = await volumes();
  box = await disk.box();
  await box.ready();
  await box.sql(`CREATE TABLE ledger AS SELECT g AS id, repeat(md5(g::text), 20) AS note FROM generate_series(1, ${ROWS}) g`);
});
afterAll(() => disk.end());

const exists = async (...path: readonly string[]): Promise<boolean> =>
  readdir(join(...path)).then(
    (names) => names.length > 0,
    () => false,
  );
const serverLog = (): Promise<string> => readFile(disk.logFile, 'utf8');

async function expectCleanStop(which: Box = box): Promise<void> {
  const { ms, exit } = await which.stop();
  note('stop', `${ms} ms, exit ${exit}`);
  expect(exit).toBe(0);
  expect(ms).toBeLessThan(STOP_MS_MAX);
}

async function expectAllRows(): Promise<void> {
  await box.start();
  await box.ready();
  expect(await box.sql('SELECT count(*) FROM ledger WHERE note = repeat(md5(id::text), 20)')).toBe(String(ROWS));
}

test('while it serves: a clean shutdown', async () => {
  await expectCleanStop();
  expect(await serverLog()).toMatch(/database system is shut down\s*$/);
  await expectAllRows();
});

test('while clients write', async () => {
  const clients = run('podman', ['exec', box.name, 'psql', '-qc', 'CREATE TABLE load (i int)', '-c', 'SELECT pg_sleep(60)']);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await expectCleanStop();
  expect((await clients).code).not.toBe(0);
  expect(await serverLog()).toMatch(/database system is shut down\s*$/);
  await expectAllRows();
});

test('in the middle of a crash recovery', async () => {
  await box.sql("ALTER SYSTEM SET max_wal_size = '8GB'", 'postgres');
  await box.sql("ALTER SYSTEM SET checkpoint_timeout = '1h'", 'postgres');
  await box.sql('SELECT pg_reload_conf()', 'postgres');
  await box.sql(`CREATE TABLE redo AS SELECT g, repeat('x', 200) AS filler FROM generate_series(1, 3000000) g`);
  await box.sql('UPDATE redo SET g = g + 1');
  await box.kill();
  const before = (await serverLog()).length;
  await box.start();
  await until('the server replays its WAL', async () => (await serverLog()).slice(before).includes('redo starts at'));
  await expectCleanStop();
  const said = (await serverLog()).slice(before);
  expect(said).not.toContain('ready to accept connections');
  await expectAllRows();
  expect(await box.sql('SELECT count(*) FROM redo')).toBe('3000000');
  await box.sql('DROP TABLE redo');
});

test('in the middle of a backup: no half of one is left', async () => {
  await box.sql('UPDATE ledger SET id = id');
  const backups = async (): Promise<readonly { state: string }[]> =>
    (JSON.parse((await box.exec('dbkit', 'backup', 'list', '--json')).stdout) as { report: { backups: { state: string }[] } }).report
      .backups;
  await until('the automatic backup is over', async () => !(await exists(disk.backupDir, '.partial')), 60_000);
  const before = await backups();
  const backup = run('podman', ['exec', box.name, 'dbkit', 'backup', 'create', '--full', '--rate-limit', '20MB']);
  await until('the backup has begun', () => exists(disk.backupDir, '.partial'));
  await expectCleanStop();
  expect((await backup).code).not.toBe(0);
  await expectAllRows();
  expect((await backups()).filter(({ state }) => state !== 'good')).toEqual([]);
  expect(await box.exec('dbkit', 'backup', 'create')).toMatchObject({ code: 0 });
  expect((await backups()).length).toBeGreaterThan(before.length);
});

test('in the middle of a restore', async () => {
  const restore = run('podman', ['exec', box.name, 'dbkit', 'backup', 'restore', 'latest', '--yes']);
  await until('the restore copies', () => exists(disk.dataDir, '.dbkit', 'staged'));
  await expectCleanStop();
  expect((await restore).code).not.toBe(0);
  await expectAllRows();
});

test('in the middle of initdb', async () => {
  const fresh = await volumes();
  onTestFinished(() => fresh.end());
  const first = await fresh.box();
  await until('initdb has begun', () => exists(fresh.dataDir));
  await expectCleanStop(first);
  await first.start();
  await first.ready();
  expect(await first.sql('SELECT current_user')).toBe('dbuser');
  await expectCleanStop(first);
});

test('a restore, and an undo of it, while a command runs: the container lives on', async () => {
  const other = await volumes();
  onTestFinished(() => other.end());
  const live = await other.box({ command: ['sh', '-c', 'trap "exit 0" TERM; while sleep 1 & wait $!; do :; done'] });
  await live.ready();
  await live.sql('CREATE TABLE note AS SELECT 1 AS n');
  expect(await live.exec('dbkit', 'backup', 'create')).toMatchObject({ code: 0 });
  await live.sql('UPDATE note SET n = 2');
  expect(await live.exec('dbkit', 'backup', 'restore', 'latest', '--yes')).toMatchObject({ code: 0 });
  expect(await live.sql('SELECT n FROM note')).toBe('1');
  expect(await live.exec('dbkit', 'backup', 'undo', '--yes')).toMatchObject({ code: 0 });
  expect(await live.sql('SELECT n FROM note')).toBe('2');
  await expectCleanStop(live);
});
