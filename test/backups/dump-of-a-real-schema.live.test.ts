import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ListedBackup } from '../../src/backups/list-backups.ts';
import type { LoadReport } from '../../src/backups/load-dump.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { until } from '../harness/processes.ts';
import { nightly } from '../harness/tier.ts';

const programs = installed.find(({ directory }) => existsSync(join(directory, 'pg_dump')));
const needsPgDump = (skip: (why: string) => void): void => {
  if (!programs) skip('pg_dump is not installed');
};

async function report<T>(instance: Instance, ...words: string[]): Promise<T> {
  const { stdout, stderr } = await run(instance, [...words, '--json']);
  const document = JSON.parse(stdout) as { report?: T };
  if (!document.report) throw new Error(stdout + stderr);
  return document.report;
}
const dump = async (instance: Instance, database: string): Promise<string> =>
  (await report<{ backup: ListedBackup }>(instance, 'backup', 'create', '--engine', 'dump', '--database', database)).backup.label;

/** As pg_dump writes it, without its header and the tokens that change with every run. */
function schemaOf({ socketDir, port }: Instance, database: string): string {
  const args = ['--schema-only', '--no-password', `--host=${socketDir}`, `--port=${port}`, '--username=postgres', `--dbname=${database}`];
  const text = execFileSync(join(programs!.directory, 'pg_dump'), args, { encoding: 'utf8' });
  return text.replace(/^\\(un)?restrict .*$/gm, '').replace(/^--.*$/gm, '');
}

/** Needs a search_path, which CREATE INDEX and a materialised view give to no function since 17 (RestrictSearchPath in guc.c). */
const twice = programs === undefined || programs.major < 17 ? 'twice' : 'public.twice';

/** A rental shop after the public sample database pagila, with what real schemas have: every kind of object, several owners, policies. */
const rental = [
  'CREATE ROLE clerk LOGIN',
  'CREATE ROLE auditor',
  'CREATE SCHEMA archive_of_films AUTHORIZATION clerk',
  `CREATE TYPE rating AS ENUM ('G', 'PG', 'R')`,
  'CREATE DOMAIN year_of_release AS int CHECK (VALUE BETWEEN 1901 AND 2155)',
  'CREATE TABLE films (id serial PRIMARY KEY, title text NOT NULL, released year_of_release, rated rating DEFAULT $$G$$, length int, words tsvector, special text[])',
  `INSERT INTO films (title, released, rated, length, words, special) SELECT 'Film ' || i, 1950 + i % 60, (ARRAY['G', 'PG', 'R'])[1 + i % 3]::rating, i % 180, to_tsvector('simple', 'film ' || i), ARRAY['a', NULL, E'x\\ny'] FROM generate_series(1, 1000) i`,
  'CREATE INDEX films_words ON films USING gin (words)',
  'CREATE TABLE payments (id bigint GENERATED ALWAYS AS IDENTITY, film int REFERENCES films, amount numeric(5, 2), taxed numeric GENERATED ALWAYS AS (amount * 1.2) STORED, at date) PARTITION BY RANGE (at)',
  `CREATE TABLE payments_2025 PARTITION OF payments FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')`,
  `CREATE TABLE payments_2026 PARTITION OF payments FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')`,
  `INSERT INTO payments (film, amount, at) SELECT 1 + i % 1000, i % 100, date '2025-01-01' + i % 700 FROM generate_series(1, 3000) i`,
  'CREATE FUNCTION in_stock(i int) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT EXISTS (SELECT FROM films WHERE id = i) $$',
  'CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT i * 2 $$',
  `CREATE FUNCTION four(i int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT ${twice}(${twice}(i)) $$`,
  'CREATE INDEX films_four ON films (four(length))',
  'CREATE TABLE rentals (film int CHECK (in_stock(film)), back timestamptz, EXCLUDE USING btree (film WITH =))',
  'INSERT INTO rentals SELECT i FROM generate_series(1, 200) i',
  'CREATE MATERIALIZED VIEW popular AS SELECT four(film) AS film, now() AS seen FROM rentals',
  'CREATE UNIQUE INDEX ON popular (film)',
  'CREATE VIEW titles WITH (security_barrier) AS SELECT title FROM films',
  'CREATE RULE no_deletes AS ON DELETE TO films DO INSTEAD NOTHING',
  'CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.back = now(); RETURN NEW; END $$',
  'CREATE TRIGGER touched BEFORE UPDATE ON rentals FOR EACH ROW EXECUTE FUNCTION touch()',
  'ALTER TABLE rentals ENABLE ROW LEVEL SECURITY',
  'ALTER TABLE rentals FORCE ROW LEVEL SECURITY',
  'CREATE POLICY few ON rentals TO clerk USING (film < 10)',
  'CREATE STATISTICS of_films (dependencies) ON released, rated FROM films',
  'CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int, INITCOND = $$0$$)',
  'CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)',
  'CREATE TABLE archive_of_films.old (id int)',
  'ALTER TABLE archive_of_films.old OWNER TO clerk',
  'INSERT INTO archive_of_films.old VALUES (1), (2)',
  'GRANT SELECT ON films TO auditor WITH GRANT OPTION',
  'GRANT UPDATE (title) ON films TO clerk',
  'ALTER DEFAULT PRIVILEGES FOR ROLE clerk IN SCHEMA archive_of_films GRANT SELECT ON TABLES TO auditor',
  'REVOKE ALL ON FUNCTION touch() FROM PUBLIC',
  'CREATE PUBLICATION partly FOR TABLE films',
  'CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$',
  'CREATE EVENT TRIGGER sees ON ddl_command_end EXECUTE FUNCTION seen()',
  'COMMENT ON TABLE films IS $$what there is$$',
  'COMMENT ON INDEX films_words IS $$for searching$$',
  'CREATE TABLE "new\nline; 1259 7 ""x""" AS SELECT 1 AS "a\nb"',
  `SELECT lo_from_bytea(0, 'large')`,
  `COMMENT ON DATABASE app IS 'what people rent'`,
  'ALTER DATABASE app CONNECTION LIMIT 7',
  'ALTER DATABASE app SET search_path = public, archive_of_films',
  'REVOKE CONNECT ON DATABASE app FROM PUBLIC',
  'GRANT CONNECT ON DATABASE app TO clerk',
];

const properties = (instance: Instance, name: string) =>
  ask(
    instance,
    'postgres',
    `SELECT datconnlimit, datdba, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a)::text AS acl, shobj_description(d.oid, 'pg_database') AS comment, setconfig::text
       FROM pg_database d LEFT JOIN pg_db_role_setting ON setdatabase = d.oid WHERE datname = '${name}'`,
  );

/** Frozen by its owner, as before a move: every session is read-only unless it says otherwise. */
async function frozen(instance: Instance, want: 'on' | 'off'): Promise<void> {
  const name = 'default_transaction_read_only';
  await ask(instance, 'postgres', `ALTER SYSTEM SET ${name} = ${want}`, 'SELECT pg_reload_conf()');
  await until(
    async () => (await ask<{ is: string }>(instance, 'postgres', `SELECT current_setting('${name}') AS is`))[0]?.is === want,
    () => `${name} is not ${want}`,
  );
}

test('a dump of a schema with every kind of object comes back as it was, rows, owners, privileges and properties', async ({ skip }) => {
  needsPgDump(skip);
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const running = await boot(instance);
  await ask(instance, 'app', ...rental);
  const [schema, kept] = [schemaOf(instance, 'app'), await properties(instance, 'app')];
  const label = await dump(instance, 'app');
  await frozen(instance, 'on'); // Whoever asks for a restore gets one.
  expect(await run(instance, ['backup', 'verify', label, '--test'])).toMatchObject({ code: 0 });
  const loaded = await report<LoadReport>(instance, 'backup', 'restore', label, '--yes');
  expect(loaded.missing).toEqual([]);
  await frozen(instance, 'off');
  expect(schemaOf(instance, 'app')).toBe(schema);
  expect(await properties(instance, 'app')).toEqual(kept);
  for (const [table, rows] of [
    ['films', 1000],
    ['payments', 3000],
    ['rentals', 200],
    ['popular', 200],
    ['archive_of_films.old', 2],
  ] as const)
    expect(await askNumber(instance, 'app', `SELECT count(*) FROM ${table}`), table).toBe(rows);
  expect(await askNumber(instance, 'app', `SELECT nextval('films_id_seq')`)).toBe(1001);
  expect(await askNumber(instance, 'postgres', `SELECT count(*) FROM pg_roles WHERE rolname ~ '^dbkit_loader'`)).toBe(0);
  expect(await askNumber(instance, 'postgres', `SELECT count(*) FROM pg_database WHERE datname ~ '^dbkit_restore'`)).toBe(0);
  await running.stop();
});

nightly('what cannot be restored is told and keeps no row away; rows are never replaced by fewer', async ({ skip }) => {
  needsPgDump(skip);
  const instance = await openInstance({ programs: programs!, from: 'template' });
  await configure(instance, { postgresql: { settings: { max_prepared_transactions: '2' } } });
  const running = await boot(instance);
  await ask(
    instance,
    'app',
    'CREATE TABLE plain AS SELECT i FROM generate_series(1, 500) i',
    // A check that no longer holds, and an index and a view whose function has come to fail.
    'CREATE FUNCTION small(i int) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT true $$',
    'CREATE TABLE checked (i int CHECK (small(i)))',
    'INSERT INTO checked SELECT i FROM generate_series(1, 300) i',
    'CREATE OR REPLACE FUNCTION small(i int) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT i < 100 $$',
    'CREATE FUNCTION fails(i int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT i $$',
    'CREATE INDEX by_failing ON plain (fails(i))',
    'CREATE MATERIALIZED VIEW failing AS SELECT fails(i) FROM plain',
    `CREATE OR REPLACE FUNCTION fails(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'no'; END $$`,
    `CREATE SUBSCRIPTION follows CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false)`,
  );
  const label = await dump(instance, 'app');
  const beside = await report<LoadReport>(instance, 'backup', 'restore', label, '--into', 'beside');
  expect(beside.missing.map(({ what }) => what).sort()).toEqual([
    'check checked_i_check of public.checked',
    expect.stringMatching(/^index public by_failing /),
    expect.stringMatching(/^materialized view data public failing /),
    expect.stringMatching(/^subscription - follows /),
  ]);
  expect(await askNumber(instance, 'beside', 'SELECT count(*) FROM plain')).toBe(500);
  expect(await askNumber(instance, 'beside', 'SELECT count(*) FROM checked')).toBe(300);
  expect(
    await askNumber(instance, 'beside', 'SELECT count(*) FROM pg_constraint WHERE conname = $$checked_i_check$$ AND NOT convalidated'),
  ).toBe(1);
  expect(await askNumber(instance, 'postgres', `SELECT count(*) FROM pg_subscription`), 'that of app alone').toBe(1);

  // A killed restore has left a database with a subscription: it goes all the same.
  await ask(
    instance,
    'postgres',
    'CREATE DATABASE dbkit_restore_20260101_000000',
    'ALTER DATABASE dbkit_restore_20260101_000000 IS_TEMPLATE true',
  );
  await ask(
    instance,
    'dbkit_restore_20260101_000000',
    `CREATE SUBSCRIPTION left_over CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false)`,
  );
  const again = await report<LoadReport>(instance, 'backup', 'restore', label, '--yes');
  expect(again.missing.map(({ because }) => because).join()).toMatch(/disabled/);
  expect(await askNumber(instance, 'postgres', `SELECT count(*) FROM pg_database WHERE datname ~ '^dbkit_restore'`)).toBe(0);

  await ask(instance, 'app', 'BEGIN', 'INSERT INTO plain VALUES (0)', `PREPARE TRANSACTION 'forgotten'`);
  const refused = await run(instance, ['backup', 'restore', label, '--yes']);
  expect(refused, refused.stderr).toMatchObject({ code: 77, stderr: expect.stringMatching(/prepared transaction[\s\S]+'forgotten'/) });
  await ask(instance, 'app', `ROLLBACK PREPARED 'forgotten'`);
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM plain')).toBe(500);
  await running.stop();
});
