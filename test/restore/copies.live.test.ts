import { existsSync } from 'node:fs';
import { open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { DrillReport } from '../../src/backups/drill.ts';
import type { ListedBackup } from '../../src/backups/list-backups.ts';
import { startBare } from '../harness/bare-server.ts';
import { boot, type Ended, run, start } from '../harness/dbkit.ts';
import { treeOf } from '../harness/files.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { freePort } from '../harness/ports.ts';
import { processesIn, until } from '../harness/processes.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const [programs] = installed;
const psql = ((path) => (existsSync(path) ? path : undefined))(join(programs!.directory, 'psql'));

/** A running instance with a backup, and ten rows since. */
async function withBackup(config: Parameters<typeof configure>[1] = {}) {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  await configure(instance, config);
  const running = await boot(instance);
  const taken = await run(instance, ['backup', 'create', '--json']);
  const { label, path } = (JSON.parse(taken.stdout) as { report: { backup: ListedBackup } }).report.backup;
  await addRows(instance, known.ledger + 1, 10);
  return { instance, running, label, path };
}
const stateOf = async (instance: Instance): Promise<string> =>
  (JSON.parse((await run(instance, ['backup', 'list', '--json'])).stdout) as { report: { backups: ListedBackup[] } }).report.backups[0]!
    .state;
const drillOf = ({ stdout }: Ended): DrillReport => (JSON.parse(stdout) as { report: DrillReport }).report;
const leftovers = ({ backupDir }: Instance): Promise<string[]> => readdir(join(backupDir, '.partial'));

test('a drill proves a backup, measures it, and leaves nothing behind', async () => {
  const assertions = [{ name: 'ledger', sql: `SELECT count(*) = ${known.ledger} FROM ledger` }];
  const { instance, running, label } = await withBackup({ drill: { assertions } });
  const ended = await run(instance, ['backup', 'drill', '--json']);
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  const report = drillOf(ended);
  expect(report).toMatchObject({ label, ok: true, databases: 4, rollsForward: true });
  expect(report.checks.map(({ name, outcome }) => [name, outcome === 'failed'])).toEqual([
    ['databases answer', false],
    ['pg_amcheck', false],
    ['assertion ledger', false],
  ]);
  expect(report.rtoMs).toBeGreaterThanOrEqual(report.restoreMs + report.startMs - 2);
  expect(await stateOf(instance)).toBe('proven');
  expect((await run(instance, ['status'])).stdout).toMatch(/last backup +proven/);
  expect(await leftovers(instance)).toEqual([]);
  expect(processesIn(join(instance.backupDir, '.partial'))).toEqual([]);
  await expectAllRows(instance, 10);
  expect((await running.stop()).code).toBe(0);
});

nightly('an assertion that does not hold fails the drill, but not the backup', async () => {
  const assertions = [{ sql: 'SELECT false' }, { name: 'typo', sql: 'SELEC 1' }, { sql: 'SELECT 1' }, { sql: 'SELECT true WHERE false' }];
  const { instance, running } = await withBackup({ drill: { assertions } });
  const ended = await run(instance, ['backup', 'drill']);
  expect(ended.code).toBe(1);
  expect(ended.stdout).toMatch(/not proven/);
  expect(ended.stdout).toMatch(/failed +assertion 1 +it answered false instead of true/);
  expect(ended.stdout).toMatch(/failed +assertion typo +.*syntax error/);
  expect(ended.stdout).toMatch(/failed +assertion 3 +it answered 1 instead of true/);
  expect(ended.stdout).toMatch(/failed +assertion 4 +it answered no row/);
  expect(await stateOf(instance)).toBe('good');
  await running.stop();
});

nightly('a drill of a backup whose bytes are wrong marks it as damaged', async () => {
  const { instance, running, path } = await withBackup();
  const file = await open(join(path, instance.places.ledger), 'r+');
  await file.write(Buffer.from('x'), 0, 1, 100);
  await file.close();
  expect(await run(instance, ['backup', 'drill'])).toMatchObject({ code: 65, stderr: expect.stringContaining('is damaged') });
  expect(await stateOf(instance)).toBe('damaged');
  expect(await leftovers(instance)).toEqual([]);
  await running.stop();
});

nightly('open runs a command against yesterday; today is not touched, and nothing is kept', async () => {
  const { instance, running, label } = await withBackup();
  const script = join(instance.root, 'look.sh');
  await writeFile(script, 'test -S "$PGHOST/.s.PGSQL.$PGPORT" && echo "$PGUSER $PGDATABASE $1"; exit 42');
  const ended = await run(instance, ['backup', 'open', label, '--', 'sh', script, '--json']);
  expect(ended, ended.stderr).toMatchObject({ code: 42, stdout: 'postgres app --json\n' });
  if (psql) {
    const words = ['-XAtc', 'SELECT count(*) FROM ledger', '-c', 'DELETE FROM ledger'];
    expect((await run(instance, ['backup', 'open', 'latest', '--', psql, ...words])).stdout).toBe(
      `${known.ledger}\nDELETE ${known.ledger}\n`,
    );
  }
  await expectAllRows(instance, 10);
  expect(await leftovers(instance)).toEqual([]);
  expect(await run(instance, ['backup', 'verify', label])).toMatchObject({ code: 0 });
  await running.stop();
});

nightly.each([
  ['copy', ['open', 'latest', '--', 'true']],
  ['backup', ['create']],
])('a copy whose dbkit was killed is cleared up, its server too, by the next %s', async (_, words) => {
  const { instance, running } = await withBackup();
  const opened = start(instance, ['backup', 'open', 'latest', '--', 'sleep', '600']);
  await until(() => /is open/.test(opened.words()), opened.words);
  await opened.stop('SIGKILL');
  const [orphan] = await leftovers(instance);
  expect(orphan).toMatch(/^scratch_/);
  const folder = join(instance.backupDir, '.partial', orphan!);
  expect(processesIn(folder)).not.toEqual([]);
  const next = await run(instance, ['backup', ...words]);
  expect(next, next.stderr).toMatchObject({ code: 0 });
  expect(await leftovers(instance)).toEqual([]);
  expect(processesIn(folder)).toEqual([]);
  await expectAllRows(instance, 10);
  await running.stop();
});

nightly('two copies at once do not disturb one another', async () => {
  const { instance, running } = await withBackup();
  const first = start(instance, ['backup', 'open', 'latest', '--', 'sleep', '4']);
  await until(() => /is open/.test(first.words()), first.words);
  expect(await run(instance, ['backup', 'drill'])).toMatchObject({ code: 0 });
  expect(await first.ended).toMatchObject({ code: 0 });
  expect(await leftovers(instance)).toEqual([]);
  await running.stop();
});

nightly('Ctrl-C before the command runs ends it with 130 and leaves nothing', async () => {
  const { instance, running } = await withBackup();
  const opened = start(instance, ['backup', 'open', 'latest', '--', 'sleep', '600']);
  await until(async () => (await leftovers(instance)).length > 0, opened.words);
  await sleep(20);
  const ended = await opened.stop('SIGINT');
  expect(ended.code === 130 || ended.code === null, `${ended.code} ${ended.stderr}`).toBe(true);
  expect(await leftovers(instance)).toEqual([]);
  await running.stop();
});

nightly('--target makes an independent copy, and refuses a folder that is not empty', async () => {
  const { instance, running, label } = await withBackup();
  const before = await treeOf(join(instance.dataDir, 'global'));
  const target = join(instance.root, 'copy');
  const port = await freePort();
  const made = await run(instance, ['backup', 'restore', label, '--target', target, '--port', String(port)]);
  expect(made, made.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining(`(port ${port})`) });
  expect(Object.keys(await treeOf(join(instance.dataDir, 'global')))).toEqual(Object.keys(before));
  const conf = await readFile(join(target, 'postgresql.auto.conf'), 'utf8');
  expect(conf).toMatch(/archive_mode = 'off'/);
  expect(conf).not.toMatch(/restore_command/);
  expect(await run(instance, ['backup', 'restore', label, '--target', target])).toMatchObject({ code: 73 });
  const copy = await startBare(instance.programs, target, { socketDir: instance.socketDir, port });
  expect(copy.up, copy.words()).toBe(true);
  await expectAllRows({ socketDir: instance.socketDir, port }, 0);
  await expectAllRows(instance, 10);
  await copy.stop();
  await running.stop();
});
