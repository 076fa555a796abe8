import { expect, test } from 'vitest';
import type { SalvageReport } from '../../src/salvage/report.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { remove, zero } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { dumpable, type Programs } from '../harness/majors.ts';
import { known } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const harms = {
  gone: (instance: Instance, path: string) => remove(instance, path),
  'full of zeroes': (instance: Instance, path: string) => zero(instance, path),
} as const;

/** Two databases with rows; then the list of databases is lost, and each is to be found by its folder. */
async function lose(programs: Programs, how: keyof typeof harms): Promise<void> {
  const instance = await openInstance({ programs, from: 'template' });
  const running = await boot(instance);
  await ask(instance, 'postgres', 'CREATE DATABASE other');
  await ask(instance, 'other', 'CREATE TABLE pets AS SELECT i AS id FROM generate_series(1, 500) i', 'CHECKPOINT');
  const [list] = await ask<{ path: string }>(instance, 'postgres', "SELECT pg_relation_filepath('pg_database') AS path");
  await running.stop();
  await harms[how](instance, list!.path);
  const { stdout, stderr } = await run(instance, ['salvage', instance.dataDir, '--json']);
  const { report } = JSON.parse(stdout) as { report?: SalvageReport };
  const told = report?.tables.map(({ database, table, rows, rowsLost }) => ({ database, table, rows, rowsLost }));
  const named = { database: expect.stringMatching(/^salvaged_\d+$/) };
  expect(told, stdout + stderr).toEqual(
    expect.arrayContaining([
      { ...named, table: 'public.ledger', rows: known.ledger, rowsLost: 0 },
      { ...named, table: 'public.pets', rows: 500, rowsLost: 0 },
    ]),
  );
  expect(report?.assumptions.join()).toContain('the list of databases is lost');

  const fresh = await openInstance({ programs, from: 'empty' });
  const serving = await boot(fresh);
  const { database } = told!.find(({ table }) => table === 'public.pets')!;
  const loaded = await run(fresh, ['backup', 'restore', report!.label, '--database', database, '--trust', '--yes'], {
    env: { BACKUP_DIR: instance.backupDir },
  });
  expect(loaded, loaded.stderr).toMatchObject({ code: 0 });
  expect(await askNumber(fresh, database, 'SELECT count(*) FROM pets')).toBe(500);
  await serving.stop();
}

for (const [index, programs] of dumpable.entries())
  for (const how of ['gone', 'full of zeroes'] as const)
    (index === 0 && how === 'gone' ? test : nightly)(
      `the list of databases is ${how}: salvage reads each by its folder (${programs.major})`,
      () => lose(programs, how),
    );
