import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { RestoreReport } from '../../src/restore/contract.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, type Ended, run } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { until } from '../harness/processes.ts';
import { addRows, expectAllRows, known, ledgerRow } from '../harness/rows.ts';
import { everywhere, nightly } from '../harness/tier.ts';

const [programs] = installed;
const ok = async (instance: Instance, ...words: string[]): Promise<Ended> => {
  const ended = await run(instance, words);
  expect(ended, ended.stderr + ended.stdout).toMatchObject({ code: 0 });
  return ended;
};
const reportOf = ({ stdout }: Ended): RestoreReport => (JSON.parse(stdout) as { report: RestoreReport }).report;
const textOf = async (instance: Instance, query: string): Promise<string> => {
  const [row] = await ask<Record<string, string>>(instance, 'app', query);
  return String(Object.values(row!)[0]);
};
const moveOn = (instance: Instance): Promise<unknown> => ask(instance, 'app', 'SELECT pg_switch_wal()');

/** Until the archive has all that this timeline came to. */
async function kept(instance: Instance, timeline: number): Promise<void> {
  const name = await textOf(instance, 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
  await moveOn(instance);
  expect(name.slice(0, 8)).toBe(`0000000${timeline}`);
  const system = await textOf(instance, 'SELECT system_identifier::text FROM pg_control_system()');
  const folder = join(instance.backupDir, 'wal', system, name.slice(0, 8));
  const has = async (): Promise<boolean> => (await readdir(folder).catch(() => [])).some((file) => file.startsWith(`${name}-`));
  await until(has, () => `${name} is not in ${folder}`);
}

// timeline.live.test.ts drops a table each day and has it back as it was.
nightly.for(everywhere ? installed : installed.slice(0, 1))(
  'a dropped table is back with every row that was committed before, and not one after (PostgreSQL $major)',
  async (each) => {
    const instance = await openInstance({ programs: each, from: 'template' });
    const running = await boot(instance);
    await ok(instance, 'backup', 'create');
    const quiet = await textOf(instance, 'SELECT now()::text'); // Nobody has written since the backup.
    await addRows(instance, known.ledger + 1, 10);
    await moveOn(instance);
    await addRows(instance, known.ledger + 11, 5);
    await ask(instance, 'app', 'DROP TABLE ledger CASCADE');
    await ask(instance, 'app', 'CREATE TABLE later (a int)');

    await ok(instance, 'backup', 'restore', '--to', quiet, '--dry-run');
    const planned = reportOf(await ok(instance, 'backup', 'restore', '--before', 'drop table ledger', '--dry-run', '--json'));
    expect(planned).toMatchObject({ done: false, point: { timeline: 1, reason: 'point-between-records' } });
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM later'), 'nothing has moved').toBe(0);
    const done = reportOf(await ok(instance, 'backup', 'restore', '--before', 'drop table public.ledger', '--yes', '--json'));
    expect(done).toMatchObject({ done: true, point: { stopBefore: planned.point!.stopBefore }, bootTest: { planned: true } });
    await expectAllRows(instance, 15);
    expect(await textOf(instance, "SELECT to_regclass('later') IS NULL")).toBe('true');

    await ok(instance, 'backup', 'undo', '--yes');
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM later')).toBe(0);
    expect(await textOf(instance, "SELECT to_regclass('ledger') IS NULL")).toBe('true');
    await running.stop();
  },
);

nightly(
  'a time, an LSN, a transaction, a restore point: each stops where it says, and a table of a moment comes back beside today’s',
  async () => {
    const instance = await openInstance({ programs: programs!, from: 'template' });
    const running = await boot(instance);
    await ok(instance, 'backup', 'create');
    await addRows(instance, known.ledger + 1, 1);
    const time = await textOf(instance, "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')");
    await addRows(instance, known.ledger + 2, 1);
    const xid = await textOf(
      instance,
      `INSERT INTO ledger SELECT ${ledgerRow} FROM generate_series(${known.ledger + 3}, ${known.ledger + 3}) i RETURNING pg_current_xact_id()::text`,
    );
    const lsn = await textOf(instance, "SELECT pg_create_restore_point('here')::text");
    await addRows(instance, known.ledger + 4, 1);
    await ask(instance, 'app', `DELETE FROM ledger WHERE id = ${known.ledger + 1}`);

    const lastIn = async (...flags: string[]): Promise<number> => {
      const { point } = reportOf(await ok(instance, 'backup', 'restore', ...flags, '--dry-run', '--json'));
      expect(point, flags.join(' ')).toMatchObject({ timeline: 1 });
      return point!.lastCommit === null ? 0 : Number(point!.lastCommit.xid);
    };
    const first = Number(xid);
    expect(await lastIn('--to-xid', xid)).toBe(first);
    expect(await lastIn('--to-xid', xid, '--exclusive')).toBe(first - 1);
    expect(await lastIn('--to', `${time}+00`)).toBe(first - 2);
    expect(await lastIn('--to-name', 'here')).toBe(first);
    expect(await lastIn('--to-lsn', lsn)).toBe(first);
    expect(await lastIn('--to', 'latest')).toBeGreaterThanOrEqual(first + 2);

    await ok(instance, 'backup', 'restore', '--to', `${time}+00`, '--table', 'public.ledger', '--yes');
    const beside = await textOf(instance, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'restored%'");
    expect(await askNumber(instance, 'app', `SELECT count(*) FROM ${beside}.ledger`)).toBe(known.ledger + 1);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger + 3);

    await ok(instance, 'backup', 'restore', '--to', `${time}+00`, '--yes');
    await expectAllRows(instance, 1);
    await running.stop();
  },
);

nightly('a moment that nothing leads to is refused, with the nearest ones, and nothing moves', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const running = await boot(instance);
  await addRows(instance, known.ledger + 1, 1);
  await ok(instance, 'backup', 'create');
  await addRows(instance, known.ledger + 2, 1);
  const refused = async (why: RegExp, ...flags: string[]): Promise<void> => {
    const ended = await run(instance, ['backup', 'restore', ...flags, '--yes']);
    expect(ended, ended.stdout).toMatchObject({ code: 77, stderr: expect.stringMatching(why) });
    expect(ended.stderr).toMatch(/to the last commit, \d{4}-\d\d-\d\d|HINT/);
    await expectAllRows(instance, 2);
  };
  await refused(/after the last commit/, '--to', '2099-01-01 00:00:00+00');
  await refused(/before the end of the oldest backup/, '--to', '2001-01-01 00:00:00+00');
  await refused(/does not contain it/, '--to-name', 'nowhere');
  await refused(/does not contain it/, '--before', 'drop table ledger');
  await refused(/history of timeline 7/, '--to', 'latest', '--timeline', '7');
  for (const flags of [
    ['--to', 'yesterday'],
    ['--to-lsn', 'x'],
    ['--before', 'oops'],
    ['--to', 'latest', '--to-xid', '5'],
    ['--exclusive'],
  ])
    expect(await run(instance, ['backup', 'restore', ...flags]), flags.join(' ')).toMatchObject({ code: 2 });
  expect(await readdir(join(instance.dataDir, '.dbkit'))).not.toContain('staged');
  await running.stop();
});

nightly('a moment behind a backup of a second timeline is restored below a folder whose name is not ASCII', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template', prefix: 'dbkit-tést-' });
  const running = await boot(instance);
  await ok(instance, 'backup', 'create');
  await addRows(instance, known.ledger + 1, 2);
  await ok(instance, 'backup', 'restore', '--to', 'latest', '--yes');
  await ok(instance, 'backup', 'create'); // Its pg_wal holds the history of timeline 2.
  await addRows(instance, known.ledger + 3, 2);
  const lsn = await textOf(instance, 'SELECT pg_current_wal_insert_lsn()::text');
  await addRows(instance, known.ledger + 5, 2);
  await ok(instance, 'backup', 'restore', '--to-lsn', lsn, '--exclusive', '--yes');
  await expectAllRows(instance, 4);
  await running.stop();
});

test.skipIf(!everywhere)(
  'each side of a fork can be reached: back to before it on the first timeline, and on along the first',
  async () => {
    const instance = await openInstance({ programs: programs!, from: 'template' });
    const running = await boot(instance, { env: { DBKIT_WAL: 'tail' } });
    await ok(instance, 'backup', 'create');
    await addRows(instance, known.ledger + 1, 1);
    const before = await textOf(instance, 'SELECT pg_current_wal_insert_lsn()::text');
    await addRows(instance, known.ledger + 2, 4);
    await kept(instance, 1);

    await ok(instance, 'backup', 'restore', '--to-lsn', before, '--exclusive', '--yes');
    await expectAllRows(instance, 1);
    await addRows(instance, known.ledger + 2, 2); // On timeline 2.
    await kept(instance, 2);
    await ok(instance, 'backup', 'restore', '--to', 'latest', '--timeline', '1', '--yes');
    await expectAllRows(instance, 5);
    expect(await textOf(instance, 'SELECT timeline_id::text FROM pg_control_checkpoint()')).toBe('3');
    await ok(instance, 'backup', 'restore', '--to', 'latest', '--timeline', '2', '--yes');
    await expectAllRows(instance, 3);
    await running.stop();
  },
);
