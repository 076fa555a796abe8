import { expect, test } from 'vitest';
import type { SalvageReport } from '../../src/salvage/report.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { overwritePage, remove, truncateTo, zeroPage } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { nightly } from '../harness/tier.ts';

const [programs] = installed;

/** A stopped instance that has run these statements, and where these relations lie. */
async function stopped(sql: string | string[], ...relations: string[]): Promise<{ instance: Instance; paths: string[] }> {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const running = await boot(instance);
  for (const one of [sql].flat()) await ask(instance, 'app', one);
  await ask(instance, 'app', 'CHECKPOINT');
  const paths: string[] = [];
  for (const relation of relations) {
    const [row] = await ask(instance, 'app', `SELECT pg_relation_filepath(${relation}) AS path`);
    paths.push((row as { path: string }).path);
  }
  await running.stop();
  return { instance, paths };
}
async function salvaged(instance: Instance): Promise<SalvageReport> {
  const { stdout, stderr } = await run(instance, ['salvage', instance.dataDir, '--json']);
  const { report } = JSON.parse(stdout) as { report?: SalvageReport };
  if (!report) throw new Error(stdout + stderr);
  return report;
}
const tableOf = ({ tables }: SalvageReport, name: string) => tables.find(({ table }) => table === name)!;
const BOOKS = `CREATE TABLE books (id serial PRIMARY KEY, t text, body text);
  ALTER TABLE books ALTER COLUMN body SET STORAGE EXTERNAL;
  INSERT INTO books (t, body) SELECT CASE WHEN i % 2 = 0 THEN 'x' END, CASE WHEN i % 10 = 0 THEN repeat(md5(i::text), 200) END FROM generate_series(1, 3000) i`;

nightly('a damaged index costs no row of its table', async () => {
  const { instance, paths } = await stopped(BOOKS, "'books_pkey'");
  await overwritePage(instance, paths[0]!, 0);
  const report = await salvaged(instance);
  expect(tableOf(report, 'public.books')).toMatchObject({ rows: 3000, rowsLost: 0 });
});
nightly('nor does a missing one', async () => {
  const { instance, paths } = await stopped(BOOKS, "'books_pkey'");
  await remove(instance, paths[0]!);
  const report = await salvaged(instance);
  expect(tableOf(report, 'public.books')).toMatchObject({ rows: 3000, rowsLost: 0 });
});
nightly('nor does the index of values kept aside', async () => {
  const { instance, paths } = await stopped(
    BOOKS,
    "(SELECT indexrelid FROM pg_index WHERE indrelid = (SELECT reltoastrelid FROM pg_class WHERE relname = 'books'))",
  );
  for (const page of [0, 1, 2]) await overwritePage(instance, paths[0]!, page);
  const report = await salvaged(instance);
  expect(tableOf(report, 'public.books')).toMatchObject({ rows: 3000, rowsLost: 0 });
});
nightly('a row is read whole, whatever its columns are called', async () => {
  const { instance, paths } = await stopped(BOOKS, "(SELECT reltoastrelid FROM pg_class WHERE relname = 'books')");
  await overwritePage(instance, paths[0]!, 3);
  const report = await salvaged(instance);
  const books = tableOf(report, 'public.books');
  expect(books.rows + books.rowsLost).toBe(3000);
});
nightly('a damaged sequence of another owner’s is made anew, and what refers to it stays', async () => {
  const { instance, paths } = await stopped(
    `GRANT ALL ON SCHEMA public TO app; SET ROLE app; ${BOOKS}; CREATE VIEW v AS SELECT last_value FROM books_id_seq; GRANT USAGE ON SEQUENCE books_id_seq TO public`,
    "'books_id_seq'",
  );
  await overwritePage(instance, paths[0]!, 0);
  const report = await salvaged(instance);
  expect(tableOf(report, 'public.books')).toMatchObject({ rows: 3000 });
});
nightly('a publication without a replica identity does not cost the page of the row that must go', async () => {
  const { instance, paths } = await stopped(
    `${BOOKS}; ALTER TABLE books DROP CONSTRAINT books_pkey; CREATE PUBLICATION p FOR ALL TABLES`,
    "(SELECT reltoastrelid FROM pg_class WHERE relname = 'books')",
  );
  await overwritePage(instance, paths[0]!, 3);
  const report = await salvaged(instance);
  const books = tableOf(report, 'public.books');
  expect(books.rows + books.rowsLost).toBe(3000);
});
nightly('lost large objects are told', async () => {
  const { instance, paths } = await stopped(
    `SELECT lo_from_bytea(0, decode(repeat('ab', 20000), 'hex')) FROM generate_series(1, 10)`,
    "'pg_largeobject'",
  );
  await overwritePage(instance, paths[0]!, 0);
  const report = await salvaged(instance);
  expect(JSON.stringify(report)).toMatch(/pg_largeobject/);
});
nightly('a damaged pg_class is told, and costs only what it held', async () => {
  const many = Array.from({ length: 60 }, (_, i) => `CREATE TABLE t${i} AS SELECT g AS id FROM generate_series(1,10) g`).join(';');
  const { instance, paths } = await stopped(`${many}; ${BOOKS}`, "'pg_class'");
  await overwritePage(instance, paths[0]!, 10);
  const report = await salvaged(instance);
  expect(JSON.stringify(report)).toMatch(/pg_class/);
});
nightly('so is a damaged pg_attribute', async () => {
  const many = Array.from({ length: 60 }, (_, i) => `CREATE TABLE t${i} AS SELECT g AS id FROM generate_series(1,10) g`).join(';');
  const { instance, paths } = await stopped(`${many}; ${BOOKS}`, "'pg_attribute'");
  await overwritePage(instance, paths[0]!, 55);
  const report = await salvaged(instance);
  expect(JSON.stringify(report)).toMatch(/pg_attribute/);
});
nightly('a table whose columns nobody knows any more is left out, and the others are saved', async () => {
  const many = Array.from({ length: 60 }, (_, i) => `CREATE TABLE t${i} (a int, b int, c int, d int); INSERT INTO t${i} VALUES (1)`).join(
    ';',
  );
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const running = await boot(instance);
  await ask(instance, 'app', many, 'CHECKPOINT');
  const [at] = await ask<{ path: string; page: number }>(
    instance,
    'app',
    `SELECT pg_relation_filepath('pg_attribute') AS path, (ctid::text::point)[0]::int AS page
       FROM pg_attribute WHERE attrelid = 't30'::regclass AND attname = 'b'`,
  );
  await running.stop();
  await overwritePage(instance, at!.path, at!.page);
  const report = await salvaged(instance);
  expect(tableOf(report, 'public.t30')).toMatchObject({ rows: 0, because: expect.stringMatching(/it is left out: .*(missing|attribute)/) });
  expect(tableOf(report, 'public.ledger').rows).toBe(3000);
  expect(report.databases).toContain('app');
});
nightly('so is a damaged pg_proc', async () => {
  const { instance, paths } = await stopped(
    `CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ${BOOKS}; CREATE TABLE g(id int default f())`,
    "'pg_proc'",
  );
  await overwritePage(instance, paths[0]!, 91);
  const report = await salvaged(instance);
  expect(JSON.stringify(report)).toMatch(/pg_proc/);
});
test('a lost database is told, and the others are saved', async () => {
  const { instance, paths } = await stopped(BOOKS, "'books'");
  await remove(instance, paths[0]!.replace(/\/\d+$/, ''));
  const report = await salvaged(instance);
  expect(JSON.stringify(report)).toMatch(/unreachable.*app/);
});
nightly('the others are saved without the database postgres, too', async () => {
  const { instance } = await stopped(BOOKS, "'books'");
  await remove(instance, 'base/5');
  const report = await salvaged(instance);
  expect(tableOf(report, 'public.books')).toMatchObject({ rows: 3000 });
});
nightly('a table that was cut short is told', async () => {
  const { instance, paths } = await stopped([BOOKS, 'VACUUM ANALYZE books'], "'books'");
  await truncateTo(instance, paths[0]!, 8192);
  const report = await salvaged(instance);
  expect(tableOf(report, 'public.books').pagesLost + tableOf(report, 'public.books').rowsLost).toBeGreaterThan(0);
});
nightly('zeroes in the middle of a table are told', async () => {
  const { instance, paths } = await stopped(BOOKS, "'books'");
  await zeroPage(instance, paths[0]!, 4);
  expect(tableOf(await salvaged(instance), 'public.books').because).toMatch(/1 pages within it hold nothing at all/);
});
nightly('where the list of databases is garbage each is read by its folder', async () => {
  const { instance } = await stopped(BOOKS, "'books'");
  await overwritePage(instance, 'global/1262', 0);
  const report = await salvaged(instance);
  expect(tableOf(report, 'public.books')).toMatchObject({ rows: 3000, rowsLost: 0, database: expect.stringMatching(/^salvaged_/) });
  expect(report.assumptions.join()).toContain('the list of databases is lost');
});
nightly('a database that is read-only by its settings is read like any other', async () => {
  const { instance, paths } = await stopped(
    `${BOOKS}; ALTER DATABASE app SET default_transaction_read_only = on`,
    "(SELECT reltoastrelid FROM pg_class WHERE relname = 'books')",
  );
  await overwritePage(instance, paths[0]!, 3);
  const report = await salvaged(instance);
  const books = tableOf(report, 'public.books');
  expect(books.rows + books.rowsLost).toBe(3000);
});

nightly('a row that cannot be removed costs its page, which is told over all rounds', async () => {
  const { instance, paths } = await stopped(
    `${BOOKS}; CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
     CREATE TRIGGER no BEFORE DELETE ON books FOR EACH ROW EXECUTE FUNCTION no(); ALTER TABLE books ENABLE ALWAYS TRIGGER no`,
    "(SELECT reltoastrelid FROM pg_class WHERE relname = 'books')",
  );
  await overwritePage(instance, paths[0]!, 3);
  const books = tableOf(await salvaged(instance), 'public.books');
  expect(books.pagesLost).toBe(2);
});
nightly('a partitioned table whose key no longer holds goes without it, and that is told', async () => {
  const maintained = (is: boolean): string =>
    `UPDATE pg_index SET indisready = ${is}, indisvalid = ${is} WHERE indexrelid = 'p1_pkey'::regclass`;
  const { instance, paths } = await stopped(
    [
      `CREATE TABLE p (id int PRIMARY KEY, n int) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
       CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200); CREATE TABLE r (p int REFERENCES p);
       INSERT INTO p SELECT i, 0 FROM generate_series(1, 150) i; INSERT INTO r SELECT id FROM p`,
      maintained(false),
      'INSERT INTO p1 VALUES (7, 1)',
      maintained(true),
    ],
    "'p1_pkey'",
  );
  await overwritePage(instance, paths[0]!, 0);
  const report = await salvaged(instance);
  expect(tableOf(report, 'public.p1')).toMatchObject({ rows: 100, rowsLost: 0 });
  expect(report.constraints.join('\n')).toMatch(/p_pkey of public\.p was left out: .*; with it went what needs it: .*r_p_fkey/);
});
nightly('identities, shared and free sequences go on past what there is', async () => {
  const { instance, paths } = await stopped(
    `CREATE TABLE a (id int GENERATED ALWAYS AS IDENTITY, x text); INSERT INTO a (x) SELECT 'a' FROM generate_series(1, 50);
     CREATE SEQUENCE shared; CREATE TABLE b (id bigint DEFAULT nextval('shared')); CREATE TABLE c (id bigint DEFAULT nextval('shared'));
     INSERT INTO b SELECT nextval('shared') FROM generate_series(1, 7); INSERT INTO c SELECT nextval('shared') FROM generate_series(1, 7); CREATE SEQUENCE alone START 5`,
    "'a_id_seq'",
    "'shared'",
    "'alone'",
  );
  for (const path of paths) await overwritePage(instance, path, 0);
  const report = await salvaged(instance);
  const running = await boot(instance);
  const loaded = await run(instance, ['backup', 'restore', report.label, '--database', 'app', '--into', 'salvaged', '--yes']);
  expect(loaded, loaded.stderr).toMatchObject({ code: 0 });
  expect(await ask(instance, 'salvaged', "INSERT INTO a (x) VALUES ('n') RETURNING id")).toEqual([{ id: 51 }]);
  expect(await askNumber(instance, 'salvaged', 'INSERT INTO b DEFAULT VALUES RETURNING id')).toEqual(15);
  expect(await askNumber(instance, 'salvaged', 'INSERT INTO c DEFAULT VALUES RETURNING id')).toEqual(16);
  expect(await askNumber(instance, 'salvaged', "SELECT nextval('alone')")).toEqual(5);
  await running.stop();
});
