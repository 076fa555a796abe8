import { expect, test } from 'vitest';
import type { TablesReport } from '../../src/restore/copies-contract.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, type Ended, run } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { dumpable } from '../harness/majors.ts';
import { everywhere } from '../harness/tier.ts';

const majors = everywhere ? dumpable : dumpable.slice(0, 1);

const bring = (instance: Instance, label: string, table: string, ...flags: string[]): Promise<Ended> =>
  run(instance, ['backup', 'restore', label, '--database', 'app', '--table', table, '--json', ...flags]);
const tablesOf = ({ stdout }: Ended): TablesReport => (JSON.parse(stdout) as { report: TablesReport }).report;

/** Whoever plans a query on the table runs it: not while it is loaded, which is the owner's right, but as a superuser. */
const trap = [
  `CREATE FUNCTION public.spring() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
     IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN EXECUTE 'ALTER ROLE keeper SUPERUSER'; END IF; RETURN 1; END $$`,
  'CREATE FUNCTION public.trap(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.spring(); END $$',
  'CREATE TABLE goods AS SELECT n AS id FROM generate_series(1, 100) AS n',
  'ALTER TABLE goods ADD PRIMARY KEY (id)',
  'ALTER TABLE goods OWNER TO keeper',
  'CREATE TABLE audit (id int REFERENCES goods)',
  'INSERT INTO audit SELECT generate_series(1, 50)',
  'CREATE TABLE visits AS SELECT n AS id FROM generate_series(1, 70) AS n',
  'ALTER TABLE visits OWNER TO visitor',
  'SET ROLE keeper',
  'CREATE INDEX ON goods (public.trap(1), id)',
];

test.for(majors)('tables come back without rights of a superuser for what others wrote (PostgreSQL $major)', async (programs) => {
  const instance = await openInstance({ programs, from: 'template' });
  const running = await boot(instance);
  await ask(instance, 'app', 'CREATE ROLE keeper', 'CREATE ROLE visitor', 'GRANT CREATE ON SCHEMA public TO keeper', ...trap);
  const created = await run(instance, ['backup', 'create', '--json']);
  const { label } = (JSON.parse(created.stdout) as { report: { backup: { label: string } } }).report.backup;

  await ask(instance, 'app', 'DROP TABLE audit');
  const audit = await bring(instance, label, 'public.audit');
  expect(audit, audit.stderr).toMatchObject({ code: 0 });
  expect(tablesOf(audit)).toMatchObject({
    tables: [{ place: 'public.audit', isInPlace: true, rows: 50 }],
    foreignKeysLeftOut: [expect.stringMatching(/ADD CONSTRAINT "audit_id_fkey"/)],
  });
  expect(await askNumber(instance, 'postgres', "SELECT count(*) FROM pg_roles WHERE rolsuper AND rolname = 'keeper'")).toBe(0);

  await ask(instance, 'app', 'DROP TABLE visits', 'DROP ROLE visitor');
  const orphan = await bring(instance, label, 'public.visits');
  expect(orphan, 'its owner would be a superuser').toMatchObject({ code: 77, stdout: expect.stringMatching(/CREATE ROLE \\"visitor\\"/) });
  await ask(instance, 'app', 'CREATE ROLE visitor');
  expect(tablesOf(await bring(instance, label, 'public.visits')).tables).toMatchObject([{ isInPlace: true, rows: 70 }]);
  expect(await ask(instance, 'app', "SELECT relowner::regrole::text AS owner FROM pg_class WHERE relname = 'visits'")).toEqual([
    { owner: 'visitor' },
  ]);
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM audit')).toBe(50);
  await running.stop();
});
