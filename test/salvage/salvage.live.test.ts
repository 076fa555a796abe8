import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { SalvageReport } from '../../src/salvage/report.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { crash, overwritePage, remove, truncateTo } from '../harness/breaking.ts';
import { boot, run, start } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { processesIn, until } from '../harness/processes.ts';
import { nightly } from '../harness/tier.ts';

const [programs] = installed;
const open = () => openInstance({ programs: programs!, from: 'template' });

/** A table of many pages with values kept aside, one that refers to it, and a sequence. */
const LIBRARY = `
  CREATE TABLE books (id serial PRIMARY KEY, title text NOT NULL, body text);
  ALTER TABLE books ALTER COLUMN body SET STORAGE EXTERNAL;
  INSERT INTO books (title, body) SELECT 'title ' || i, CASE WHEN i % 100 = 0 THEN repeat(md5(i::text), 200) END FROM generate_series(1, 5000) i;
  CREATE TABLE loans (book integer NOT NULL REFERENCES books, who text);
  INSERT INTO loans SELECT i, 'reader' FROM generate_series(1, 5000) i`;

async function stoppedLibrary(): Promise<Instance> {
  const instance = await open();
  const running = await boot(instance);
  await ask(instance, 'app', LIBRARY);
  await running.stop();
  return instance;
}
async function pathOf(instance: Instance, relation: string): Promise<string> {
  const running = await boot(instance);
  const [row] = await ask(instance, 'app', `SELECT pg_relation_filepath(${relation}) AS path`);
  await running.stop();
  return (row as { path: string }).path;
}
async function salvaged(instance: Instance, ...words: string[]): Promise<SalvageReport> {
  const { stdout, stderr } = await run(instance, ['salvage', ...words, '--json']);
  const { report } = JSON.parse(stdout) as { report?: SalvageReport };
  if (!report) throw new Error(stdout + stderr);
  return report;
}
const tableOf = ({ tables }: SalvageReport, name: string) => tables.find(({ table }) => table === name)!;

test('what damaged pages have left of a table is saved, told to the page, and can be restored', async () => {
  const instance = await stoppedLibrary();
  const [heap, toast] = [
    await pathOf(instance, "'books'"),
    await pathOf(instance, "(SELECT reltoastrelid FROM pg_class WHERE relname = 'books')"),
  ];
  for (const page of [3, 4]) await overwritePage(instance, heap, page);
  await overwritePage(instance, toast, 1);

  const report = await salvaged(instance, instance.dataDir);
  const books = tableOf(report, 'public.books');
  expect(books.pagesLost).toBe(3);
  expect(books.rowsLost, 'their bodies were on the lost page').toBeGreaterThan(0);
  expect(books.rows + books.rowsLost).toBeLessThan(5000);
  expect(books.rows).toBeGreaterThan(4500);
  expect(tableOf(report, 'public.loans')).toMatchObject({ rows: 5000, rowsLost: 0, pagesLost: 0 });
  expect(report.constraints.join()).toMatch(/loans_book_fkey of public\.loans is NOT VALID/);
  expect(report.databases).toContain('app');

  const running = await boot(instance, { env: { DBKIT_BACKUP_AFTER_START: 'false' } });
  const loaded = await run(instance, ['backup', 'restore', report.label, '--database', 'app', '--into', 'salvaged', '--yes']);
  expect(loaded, loaded.stderr).toMatchObject({ code: 0 });
  expect(await askNumber(instance, 'salvaged', 'SELECT count(*) FROM books')).toBe(books.rows);
  expect(await askNumber(instance, 'salvaged', "INSERT INTO books (title) VALUES ('new') RETURNING id")).toBeGreaterThan(5000);
  await running.stop();
});

nightly('a crashed cluster that has lost its WAL, its control file and its transaction status is still read', async () => {
  const instance = await open();
  const running = await boot(instance);
  await ask(instance, 'app', LIBRARY);
  const [row] = await ask(instance, 'app', "SELECT pg_relation_filepath('books') AS path");
  const heap = (row as { path: string }).path;
  await ask(instance, 'app', 'CHECKPOINT');
  await crash(instance, running);
  await overwritePage(instance, heap, 3);
  await remove(instance, 'pg_wal', 'global/pg_control', 'pg_xact/0000', 'postgresql.conf', 'pg_notify');
  await truncateTo(instance, 'PG_VERSION', 0);

  const report = await salvaged(instance, instance.dataDir);
  const books = tableOf(report, 'public.books');
  expect(books, 'the checksums of the pages are still checked').toMatchObject({ rowsLost: 0, pagesLost: 1 });
  expect(books.rows).toBeGreaterThan(4800);
  expect(tableOf(report, 'public.loans').rows).toBe(5000);
  const said = report.assumptions.join('\n');
  for (const lost of [/pg_control was lost/, /pg_xact\/0000 is lost/, /pg_wal was missing/]) expect(said).toMatch(lost);
});

nightly('without a directory it takes what a recovery has set aside, while the new instance runs', async () => {
  const instance = await stoppedLibrary();
  await remove(instance, 'pg_xact');
  await rm(join(instance.stateDir, 'kept'), { recursive: true, force: true });
  const running = await boot(instance, { env: { DBKIT_BACKUP_AFTER_START: 'false' } });
  expect(await askNumber(instance, 'app', "SELECT count(*) FROM pg_class WHERE relname = 'books'"), 'a new instance').toBe(0);
  const report = await salvaged(instance);
  expect(report.source).toMatch(/quarantine\/corrupt_/);
  expect(tableOf(report, 'public.books').rows).toBe(5000);
  await running.stop();
});

test('a running instance is not salvaged, and a directory that is nobody’s data is refused', async () => {
  const instance = await open();
  const running = await boot(instance);
  expect(await run(instance, ['salvage'])).toMatchObject({ code: 75, stderr: expect.stringContaining('is running') });
  expect(await run(instance, ['salvage', instance.dataDir]), 'not by its name either').toMatchObject({ code: 75 });
  await running.stop();
  expect((await run(instance, ['salvage', join(instance.root, 'nothing')])).code).not.toBe(0);
});

nightly('what a killed salvage leaves, its server too, is cleared up by the next', async () => {
  const instance = await stoppedLibrary();
  const folder = join(instance.backupDir, '.partial');
  const killed = start(instance, ['salvage', instance.dataDir]);
  await until(
    () => killed.words().includes('can be read'),
    () => killed.words(),
  );
  await killed.stop('SIGKILL');
  await salvaged(instance, instance.dataDir);
  expect(processesIn(folder)).toEqual([]);
  expect((await readdir(folder)).filter((name) => name.startsWith('scratch_'))).toEqual([]);
});
