import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { TablesReport } from '../../src/restore/copies-contract.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { dumpable, installed, type Programs } from '../harness/majors.ts';
import { expectAllRows } from '../harness/rows.ts';
import { everywhere, nightly } from '../harness/tier.ts';

const majors = everywhere ? dumpable : dumpable.slice(0, 1);

const shop = [
  'CREATE TABLE customers (id serial PRIMARY KEY, name text)',
  "INSERT INTO customers (name) SELECT 'c' || i FROM generate_series(1, 50) i",
  'CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES customers, note text)',
  'INSERT INTO orders (customer) SELECT 1 + i % 50 FROM generate_series(1, 500) i',
  'CREATE INDEX orders_note ON orders (note)',
  'CREATE TABLE items (id int REFERENCES orders)',
  'CREATE SCHEMA "S ""2"""',
  'CREATE TABLE "S ""2"""."a.b" AS SELECT 1 AS i',
  'CREATE TABLE parts (i int) PARTITION BY RANGE (i)',
  'CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)',
  'CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20)',
  'INSERT INTO parts SELECT generate_series(0, 19)',
];

type Scene = Awaited<ReturnType<typeof serving>>;

/** A running server with the shop, a backup of it, and how single tables of that are brought back. */
async function serving(engine: string, programs: Programs) {
  const instance = await openInstance({ programs, from: 'template' });
  const running = await boot(instance);
  await ask(instance, 'app', ...shop);
  const flags = engine === 'dump' ? ['--database', 'app'] : [];
  const created = await run(instance, ['backup', 'create', '--engine', engine, '--json', ...flags]);
  const label = (JSON.parse(created.stdout) as { report: { backup: { label: string } } }).report.backup.label;
  const command = (...tables: string[]): string[] => ['backup', 'restore', label, '--database', 'app', '--table', ...tables];
  const bring = async (...tables: string[]): Promise<TablesReport> => {
    const { stdout, stderr } = await run(instance, [...command(...tables), '--json']);
    const { report } = JSON.parse(stdout) as { report?: TablesReport };
    if (!report) throw new Error(stdout + stderr);
    return report;
  };
  const count = (table: string): Promise<number> => askNumber(instance, 'app', `SELECT count(*) FROM ${table}`);
  const expectNothingLeft = async (): Promise<void> => {
    expect((await readdir(join(instance.backupDir, '.partial'))).filter((name) => name.startsWith('scratch_'))).toEqual([]);
    expect(await askNumber(instance, 'app', "SELECT count(*) FROM pg_database WHERE datname ~ 'dbkit'")).toBe(0);
    await expectAllRows(instance, 0);
    await running.stop();
  };
  return { instance, command, bring, count, expectNothingLeft };
}

async function inPlaceAndBeside({ instance, command, bring, count, expectNothingLeft }: Scene): Promise<void> {
  await ask(instance, 'app', 'DROP TABLE orders CASCADE');
  const back = await bring('public.orders', 'S "2".a.b');
  expect(back.tables).toMatchObject([
    { table: 'public.orders', place: 'public.orders', isInPlace: true, rows: 500 },
    { table: 'S "2".a.b', isInPlace: false, rows: 1 },
  ]);
  expect(back.foreignKeysLeftOut, "that of another table is a person's to add").toEqual([expect.stringContaining('items_id_fkey')]);
  expect(await count('orders')).toBe(500);
  expect(await count(`"${back.besideSchema}"."a.b"`)).toBe(1);
  await expect(ask(instance, 'app', 'INSERT INTO orders (customer) VALUES (9999)')).rejects.toThrow(/orders_customer_fkey/);
  await ask(instance, 'app', 'INSERT INTO orders (customer) VALUES (1)'); // Its sequence goes on.
  for (const sql of back.suggestions) await ask(instance, 'app', sql);

  await ask(instance, 'app', 'TRUNCATE items, orders');
  const beside = await bring('orders');
  expect(await count('orders'), 'what is there keeps its place').toBe(0);
  expect(await count(`${beside.besideSchema}.orders`)).toBe(500);

  const wrong = await run(instance, command('custmers'));
  expect(wrong, wrong.stderr).toMatchObject({ code: 2, stderr: expect.stringMatching(/no table custmers .*did you mean customers\?/) });
  await expectNothingLeft();
}

async function whatHoldsNoMore({ instance, bring, count, expectNothingLeft }: Scene): Promise<void> {
  expect((await bring('"S ""2"""."a.b"')).tables, 'as the timeline writes it').toMatchObject([{ table: 'S "2".a.b', rows: 1 }]);
  await ask(instance, 'app', 'TRUNCATE items, orders', 'DELETE FROM customers WHERE id = 7', 'DROP TABLE orders CASCADE');
  const without = await bring('orders');
  expect(without.foreignKeysLeftOut[0], 'it does not hold any more').toMatch(/"orders" ADD CONSTRAINT "orders_customer_fkey"/);

  await ask(instance, 'app', 'ALTER TABLE parts DETACH PARTITION parts_1', 'DROP TABLE parts');
  const hindered = await bring('parts');
  expect(hindered.tables, 'only one of its partitions is there').toMatchObject([{ isInPlace: false, taken: ['public.parts_1'], rows: 20 }]);
  for (const sql of hindered.suggestions) await ask(instance, 'app', sql);
  await ask(instance, 'app', 'DROP TABLE parts_1');
  await bring('parts');

  await ask(instance, 'app', 'DROP TABLE parts_2');
  expect((await bring('parts_2')).tables).toMatchObject([{ isInPlace: true, rows: 10 }]);
  await ask(instance, 'app', 'DROP TABLE parts, parts_2');
  expect((await bring('parts')).tables).toMatchObject([{ isInPlace: true, rows: 20 }]);
  expect(await count('parts')).toBe(20);
  await expectNothingLeft();
}

for (const [engine, programs] of majors.flatMap((one) => [['copy', one] as const, ['dump', one] as const])) {
  const from = `from a backup of the engine ${engine}, and nothing is replaced (PostgreSQL ${programs.major})`;
  (engine === 'copy' ? test : nightly)(`single tables come back ${from}`, async () => inPlaceAndBeside(await serving(engine, programs)));
  nightly(`partitions, and tables whose references hold no more, come back ${from}`, async () =>
    whatHoldsNoMore(await serving(engine, programs)),
  );
}

test('without pg_dump a table is refused before anything is copied, with the way that needs none', async () => {
  const programs = installed.find(({ directory }) => !existsSync(join(directory, 'pg_dump')))!;
  const instance = await openInstance({ programs, from: 'template' });
  const running = await boot(instance);
  const made = await run(instance, ['backup', 'create']);
  expect(made, made.stderr).toMatchObject({ code: 0 });
  const bare = { env: { PATH: '/var/empty' } };
  const refused = await run(instance, ['backup', 'restore', 'latest', '--table', 'orders'], bare);
  expect(refused).toMatchObject({
    code: 127,
    stderr: expect.stringMatching(/pg_dump .* not installed\n.*without --table the whole cluster/),
  });
  expect(refused.stderr).not.toMatch(/restoring/);
  await running.stop();
});
