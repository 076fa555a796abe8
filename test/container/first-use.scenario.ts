import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { note, podman, run } from './tools.ts';
import { type Workspace, workspace } from './workspace.ts';

let shop: Workspace;
beforeAll(async () => {
  shop = await workspace();
});
afterAll(() => shop.end());

const backups = async (): Promise<readonly string[]> => {
  const { stdout } = await shop.exec('dbkit', 'backup', 'list', '--json');
  const { report } = JSON.parse(stdout) as { report: { backups: { label: string; state: string }[] } };
  return report.backups.map(({ label, state }) => `${label} ${state}`);
};

test('an empty workspace: up, rows, backup, stop, up', async () => {
  const first = await shop.up();
  note('the first up, image and all', `${first.ms} ms`);
  expect(first).toMatchObject({ outcome: 'success' });
  expect(await shop.sql('SELECT current_user')).toBe('dbuser');
  await shop.sql('CREATE TABLE ledger AS SELECT g AS id, md5(g::text) AS note FROM generate_series(1, 5000) g');
  expect((await shop.exec('dbkit', 'backup', 'create')).stdout).toMatch(/^backup data_/);
  const before = await backups();
  await shop.sql("INSERT INTO ledger VALUES (5001, 'after the backup')");
  await shop.news();

  const stop = await shop.stop();
  note('stop', `${stop.ms} ms, exit ${stop.exit}`);
  expect(stop.exit).toBe(0);
  expect(await shop.news()).toContain('postgresql is stopped');
  expect(await readFile(join(shop.root, '.DB_logs/postgresql.log'), 'utf8')).toMatch(/database system is shut down\s*$/);

  const again = await shop.up();
  note('up again', `${again.ms} ms`);
  expect(again).toMatchObject({ outcome: 'success' });
  expect(await shop.sql('SELECT count(*) FROM ledger')).toBe('5001');
  expect(await readFile(join(shop.root, '.DB_logs/postgresql.log'), 'utf8')).not.toMatch(/not properly shut down/);
  const said = (): Promise<string> => readFile(join(shop.root, '.DB_logs/dbkit.log'), 'utf8');
  await expect
    .poll(backups, { timeout: 30_000 })
    .toHaveLength(before.length + 1)
    .catch(async (cause: unknown) => Promise.reject(new Error(`${cause}\n${await said()}`)));
  expect((await backups()).filter((backup) => backup.endsWith(' good'))).toHaveLength(before.length + 1);
});

test('nothing runs as root but dbkit, and PID 1 is an init', async () => {
  const { stdout } = await podman('exec', shop.id(), 'ps', '-eo', 'pid=,user=,args=');
  const rows = stdout.split('\n').map((row) => row.trim().split(/\s+/));
  expect(rows.find(([pid]) => pid === '1')?.slice(2)).toEqual(['tini', '--', 'dbkit', 'entrypoint', '--']);
  expect(rows.filter(([, , file]) => file?.endsWith('/postgres')).map(([, user]) => user)).toEqual(['node']);
});

test('the installed package can write a dev container too', async () => {
  const script = 'mkdir /tmp/other && cd /tmp/other && dbkit init devcontainer --json && tar -tzf .devcontainer/dbkit.tgz';
  const ran = await shop.exec('sh', '-c', script);
  expect(ran.code, ran.stderr).toBe(0);
  expect(ran.stdout).toMatch(/"outcome": ?"written"/);
  expect(ran.stdout).toContain('package/.devcontainer/Dockerfile');
  expect(ran.stdout).toContain('package/dist/main.js');
});

test('killed during pgbench: every acknowledged commit is there again, told in one line', async () => {
  const bin = '/usr/lib/postgresql/15/bin';
  await shop.sql('CREATE TABLE acknowledged (writer int, id int, PRIMARY KEY (writer, id))');
  expect((await podman('exec', shop.id(), `${bin}/pgbench`, '-i', '-q', '-s', '5')).code).toBe(0);
  const load = run('podman', ['exec', shop.id(), `${bin}/pgbench`, '-c', '4', '-T', '60', '-n']);
  const writers = [1, 2, 3].map((writer) => {
    const input = Array.from({ length: 200_000 }, (_, id) => `INSERT INTO acknowledged VALUES (${writer}, ${id}) RETURNING id;\n`).join('');
    return run('podman', ['exec', '--interactive', shop.id(), 'psql', '-qtAX'], { input });
  });
  await new Promise((resolve) => setTimeout(resolve, 4000));
  await shop.news();
  await shop.kill();
  await load;
  const told = await Promise.all(writers);
  const up = await shop.up();
  expect(up).toMatchObject({ outcome: 'success' });
  const acknowledged = told.map(({ stdout }) => stdout.split('\n').filter(Boolean).length);
  note('acknowledged before the kill', acknowledged.join(', '));
  note('up after the kill', `${up.ms} ms`);
  expect(Math.min(...acknowledged)).toBeGreaterThan(100);
  for (const [index, count] of acknowledged.entries())
    expect(Number(await shop.sql(`SELECT count(*) FROM acknowledged WHERE writer = ${index + 1} AND id < ${count}`))).toBe(count);
  const news = await shop.news();
  note('told as', news.trim().split('\n').join(' | '));
  expect(up.ms).toBeLessThan(30_000);
  expect(news.split('\n').filter((line) => /crash|recover|replay/i.test(line))).toHaveLength(1);
});

test('a new user’s path: from an empty folder to a healed database', async () => {
  const since = performance.now();
  const project = await workspace();
  onTestFinished(() => project.end());
  expect(await project.up()).toMatchObject({ outcome: 'success' });
  await project.sql('CREATE TABLE ledger AS SELECT generate_series(1, 1000) AS id');
  await project.stop();
  await rm(join(project.dataDir, 'global/2671'));
  expect(await project.up()).toMatchObject({ outcome: 'success' });
  expect(await project.sql('SELECT count(*) FROM ledger')).toBe('1000');
  const seconds = (performance.now() - since) / 1000;
  note('from an empty folder to a healed database', `${seconds.toFixed(1)} s`);
  expect(seconds).toBeLessThan(300);
});
