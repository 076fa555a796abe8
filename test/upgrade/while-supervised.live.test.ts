import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { UpgradeReport } from '../../src/upgrade/contract.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, readRecovery, readStatus, run } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { dumpable, installed, type Programs, runnable } from '../harness/majors.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const of = (major: number): Programs | undefined => installed.find((programs) => programs.major === major);
const [debian] = installed;
const isDumped = (major: number): boolean => dumpable.some((programs) => programs.major === major);

const majorOf = (instance: Instance): Promise<number> =>
  askNumber(instance, 'app', "SELECT current_setting('server_version_num')::int / 10000");

/** Every table of every database with its rows and a checksum over all of them, whatever their order. */
async function everyTable(instance: Instance): Promise<Record<string, string>> {
  const sums: Record<string, string> = {};
  const databases = await ask<{ name: string }>(instance, 'postgres', 'SELECT datname AS name FROM pg_database WHERE datallowconn');
  for (const { name } of databases) {
    const tables = await ask<{ table: string }>(
      instance,
      name,
      `SELECT format('%I.%I', schemaname, tablename) AS table FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
    );
    for (const { table } of tables) {
      const [row] = await ask<{ sum: string }>(
        instance,
        name,
        `SELECT count(*) || ' ' || coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '-') AS sum FROM ${table} t`,
      );
      sums[`${name} ${table}`] = row!.sum;
    }
  }
  return sums;
}

/** Rows more than the template’s, in types that a dump could write otherwise. */
async function furnish(instance: Instance): Promise<void> {
  await addRows(instance, known.ledger + 1, 10);
  await ask(
    instance,
    'app',
    `CREATE TABLE of_types AS SELECT g AS id, g / 7.0 AS real, (g / 3.0)::float8 AS double, now() - g * interval '1.5 hours' AS at, ARRAY[g, NULL] AS list,
       jsonb_build_object('a', g, 'b', E'\\n"') AS document, decode(md5(g::text), 'hex') AS bytes, E'tab\\tü\\\\' AS text, NULL::int AS nothing FROM generate_series(1, 500) g`,
    'CREATE TABLE without_rows (id int)',
  );
}

/** Programs of both majors where dbkit finds them by itself: Debian's in their place, the others by PATH. */
async function bothMajors(from: Programs): Promise<Record<string, string | undefined>> {
  const { directory } = await runnable(from);
  return { POSTGRES_BIN_DIR: undefined, PATH: `${directory}:${process.env['PATH']}` };
}

const from13 =
  isDumped(13) && debian !== undefined && debian.major > 13 && debian.directory.startsWith('/usr/lib/postgresql/') ? of(13) : undefined;

nightly('an entrypoint runs: the upgrade goes through it, and it serves the newer major; undo goes back', async ({ skip }) => {
  if (!from13) skip('no two majors, or no pg_dump');
  const instance = await openInstance({ programs: from13!, from: 'template' });
  const env = await bothMajors(from13!);
  const running = await boot(instance, { env });
  expect(await majorOf(instance)).toBe(13);
  await furnish(instance);
  const before = await everyTable(instance);
  expect(Object.keys(before).length).toBeGreaterThanOrEqual(5);

  const upgraded = await run(instance, ['upgrade', '--to', String(debian!.major), '--yes', '--json'], { env });
  expect(upgraded, upgraded.stderr).toMatchObject({ code: 0 });
  const { report } = JSON.parse(upgraded.stdout) as { report: UpgradeReport };
  expect(report).toMatchObject({ done: true, method: 'dump', missing: [], from: { major: 13 }, to: { major: debian!.major } });
  const status = await readStatus(instance);
  expect(status).toMatchObject({
    pid: running.pid,
    services: expect.arrayContaining([expect.objectContaining({ name: 'postgresql', state: 'ready' })]),
  });
  expect(await majorOf(instance)).toBe(debian!.major);
  expect(await everyTable(instance)).toEqual(before);
  await expectAllRows(instance, 10);
  expect(await readRecovery(instance)).toMatchObject({ because: expect.stringMatching(/upgrade/) });
  expect(await readFile(join(report.quarantine!, 'PG_VERSION'), 'utf8'), 'the old cluster is kept').toBe('13\n');

  const undone = await run(instance, ['backup', 'undo', '--yes'], { env });
  expect(undone, undone.stderr).toMatchObject({ code: 0 });
  expect(await majorOf(instance)).toBe(13);
  expect(await everyTable(instance)).toEqual(before);
  expect(await running.stop()).toMatchObject({ code: 0 });
});

nightly('recovery.upgrade: auto: a start with newer programs upgrades and serves; the next one has nothing to do', async ({ skip }) => {
  if (!from13) skip('no two majors, or no pg_dump');
  const instance = await openInstance({ programs: from13!, from: 'template' });
  const both = await bothMajors(from13!);
  const old = await boot(instance, { env: both });
  await furnish(instance);
  const before = await everyTable(instance);
  await old.stop();
  const env = { ...both, POSTGRES_VERSION: String(debian!.major) };

  const asked = await boot(instance, { env });
  expect(await majorOf(instance), 'off by default: it is served by the programs of its own major').toBe(13);
  await asked.stop();

  const settings = JSON.parse(await readFile(instance.configFile, 'utf8')) as { recovery?: object };
  await writeFile(instance.configFile, JSON.stringify({ ...settings, recovery: { ...settings.recovery, upgrade: 'auto' } }));
  const running = await boot(instance, { env });
  expect(running.words()).toMatch(/upgrading it to \d+, as recovery\.upgrade asks for/);
  expect(await majorOf(instance)).toBe(debian!.major);
  expect(await everyTable(instance)).toEqual(before);
  await running.stop();
  const again = await boot(instance, { env });
  expect(again.words()).not.toMatch(/upgrading/);
  expect(await everyTable(instance)).toEqual(before);
  await again.stop();
  for (const name of ['journal.json', 'incoming', 'staged']) expect(existsSync(join(instance.dataDir, '.dbkit', name)), name).toBe(false);
});

/** Each pair of majors here that a dump can cross. */
const pairs = [
  [13, 15],
  [13, 18],
  [15, 18],
] as const;

for (const [from, to] of pairs)
  nightly(`${from} → ${to} by a dump: the rows and the checksum of every table are the same, and undo goes back`, async ({ skip }) => {
    const [old, next] = [of(from), of(to)];
    if (!old || !next || !isDumped(from)) skip('not both majors, or no pg_dump for the old one');
    const instance = await openInstance({ programs: old!, from: 'template' });
    const running = await boot(instance);
    await furnish(instance);
    const before = await everyTable(instance);
    await running.stop();
    const env = { POSTGRES_BIN_DIR: (await runnable(next!)).directory };
    const words = ['upgrade', '--old-bin-dir', instance.programs.directory, '--yes', '--json'];
    const upgraded = await run(instance, words, { env });
    expect(upgraded, upgraded.stderr + upgraded.stdout).toMatchObject({ code: 0 });
    const serving = await boot(instance, { env });
    expect(await majorOf(instance)).toBe(to);
    expect(await everyTable(instance)).toEqual(before);
    await serving.stop();
    const undone = await run(instance, ['backup', 'undo', '--yes']);
    expect(undone, undone.stderr).toMatchObject({ code: 0 });
    const back = await boot(instance);
    expect(await majorOf(instance)).toBe(from);
    expect(await everyTable(instance)).toEqual(before);
    await back.stop();
  });
