import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { PullReport } from '../../src/backups/pull/pull.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run, start } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { expectAllRows, known } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const withDump = installed.find(({ directory }) => existsSync(join(directory, 'pg_dump')));

/** Fifty persons in `person`, which the application owns; `columns` and `values` beside their number and their address. */
const persons = (
  instance: Instance,
  email: string,
  more: { readonly columns: string; readonly values: string } = { columns: '', values: '' },
) =>
  ask(
    instance,
    'app',
    `CREATE TABLE person (id int PRIMARY KEY, email ${email}${more.columns})`,
    `INSERT INTO person SELECT g, 'p' || g || '@corp.test'${more.values} FROM generate_series(1, 50) g`,
    'ALTER TABLE person OWNER TO app',
  );

(withDump ? nightly : nightly.skip)(
  'a database of another server comes under a new name, without some rows and without persons, or not at all',
  async () => {
    const instance = await openInstance({ programs: withDump!, from: 'template' });
    const running = await boot(instance);
    await persons(instance, 'varchar(30) UNIQUE NOT NULL', { columns: ', born date', values: ", '2000-01-01'" });
    await ask(
      instance,
      'app',
      'CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO documents SELECT 1000 + old.id, old.email, old.email; RETURN new; END$$',
      'CREATE TRIGGER tells AFTER UPDATE ON person FOR EACH ROW EXECUTE FUNCTION note()',
    );
    await ask(instance, 'app', 'ALTER FUNCTION note() OWNER TO app');
    const all = ['TABLES', 'SEQUENCES'].map((what) => `GRANT SELECT ON ALL ${what} IN SCHEMA public TO app`);
    await ask(instance, 'app', 'ALTER TABLE documents OWNER TO app', ...all);
    const url = `postgresql://app:secret@localhost:${instance.port}/app`;
    const rules = join(instance.root, 'rules.yaml');
    const pull = (...words: string[]) => run(instance, ['pull', url, '--anonymise', rules, '--json', ...words]);

    await writeFile(rules, 'person: { email: { fake: email }, shoe_size: null }');
    expect(await pull('--as', 'copy')).toMatchObject({ code: 2, stdout: expect.stringContaining('public.person.shoe_size') });
    await writeFile(rules, 'person: { email: { fake: email }, born: null }');
    expect(await pull(), 'a name that is taken').toMatchObject({ code: 73 });
    const pulled = await pull('--as', 'copy', '--exclude-table-data', 'ledg*', '--trust');
    expect(pulled, pulled.stderr).toMatchObject({ code: 0 });
    const { report } = JSON.parse(pulled.stdout) as { report: PullReport };
    expect(report).toMatchObject({ database: 'app', into: 'copy' });
    expect(report.anonymised).toContainEqual({ table: 'public.person', column: 'email', how: 'a made-up email', rows: 50 });

    const clean = "SELECT count(DISTINCT email) FROM person WHERE email ~ '^[0-9a-f]{16}@example\\.com$' AND born IS NULL";
    expect(await askNumber(instance, 'copy', clean)).toBe(50);
    expect(await askNumber(instance, 'copy', 'SELECT count(*) FROM ledger'), 'rows that were left out').toBe(0);
    expect(await askNumber(instance, 'copy', 'SELECT count(*) FROM documents'), 'no trigger has noted the persons').toBe(known.documents);
    expect(await askNumber(instance, 'copy', "SELECT count(*) FROM pg_trigger WHERE tgname = 'tells' AND tgenabled = 'O'")).toBe(1);
    await expectAllRows(instance, 0);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM person WHERE born IS NOT NULL'), 'nothing is written there').toBe(50);
    const left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'dbkit%'";
    expect(await askNumber(instance, 'postgres', left)).toBe(0);
    await running.stop();
  },
);

/** A server whose repository somebody else reads, and the server that pulls. */
async function both(): Promise<{ readonly there: Instance; readonly here: Instance }> {
  const there = await openInstance({ programs: withDump!, from: 'template' });
  const serving = await boot(there);
  await persons(there, 'text');
  await ask(
    there,
    'postgres',
    "ALTER SYSTEM SET archive_mode = 'on'",
    `ALTER SYSTEM SET archive_command = 'touch ${there.socketDir}/archived'`,
  );
  expect(await run(there, ['backup', 'create'])).toMatchObject({ code: 0 });
  await serving.stop();
  const here = await openInstance({ programs: withDump!, from: 'empty' });
  return { there, here };
}

(withDump ? nightly : nightly.skip)('a database of another dbkit’s base backup comes in through a copy that acts as nobody', async () => {
  const { there, here } = await both();
  const running = await boot(here);
  const before = await readdir(there.backupDir);
  const rules = join(here.root, 'rules.yaml');
  await writeFile(rules, 'person: { email: { fake: email } }');
  const words = ['pull', there.backupDir, '--database', 'app', '--as', 'copy', '--json'];
  expect(await run(here, words), 'somebody else’s cluster').toMatchObject({ code: 77, stdout: expect.stringContaining('--trust') });
  expect(await run(here, [...words, '--trust', '--exclude-table-data', 'nothing*'])).toMatchObject({ code: 2 });
  const pulled = await run(here, [...words, '--trust', '--exclude-table-data', 'documents', '--anonymise', rules]);
  expect(pulled, pulled.stderr).toMatchObject({ code: 0 });
  const { report } = JSON.parse(pulled.stdout) as { report: PullReport };
  expect(report).toMatchObject({ database: 'app', into: 'copy' });
  expect(await askNumber(here, 'copy', 'SELECT count(*) FROM ledger')).toBe(known.ledger);
  expect(await askNumber(here, 'copy', 'SELECT count(*) FROM documents'), 'rows that were left out').toBe(0);
  expect(await askNumber(here, 'copy', "SELECT count(*) FROM person WHERE email ~ '@example\\.com$'")).toBe(50);
  expect(await readdir(there.backupDir), 'the repository is only read').toEqual(before);
  const [label] = before.filter((name) => /^data_\d+_\d+$/.test(name));
  expect(await readFile(join(there.backupDir, label!, 'postgresql.auto.conf'), 'utf8')).toContain('archive_command');
  expect(existsSync(join(there.socketDir, 'archived')), 'the copy archived nothing').toBe(false);
  expect(
    (await readdir(join(here.backupDir, '.partial'))).filter((name) => name.startsWith('scratch_')),
    'the copy is gone',
  ).toEqual([]);
  await running.stop();
});

(withDump ? nightly : nightly.skip)(
  'nothing of a person is left in views and inherited tables, and nobody gets in before the rules are obeyed',
  async () => {
    const instance = await openInstance({ programs: withDump!, from: 'template' });
    const running = await boot(instance);
    await ask(
      instance,
      'app',
      'CREATE TABLE person (id int, email text CHECK (pg_sleep(0.03)::text IS NOT NULL))', // So that it takes a while.
      'CREATE TABLE employee (salary int) INHERITS (person)',
      "INSERT INTO person SELECT g, 'p' || g || '@corp.test' FROM generate_series(1, 60) g",
      "INSERT INTO employee SELECT g, 'e' || g || '@corp.test', g FROM generate_series(1, 60) g",
      'CREATE TABLE seen (email text)',
      'CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.seen SELECT old.email; RETURN new; END$$',
      'CREATE TRIGGER tells AFTER UPDATE ON employee FOR EACH ROW EXECUTE FUNCTION note()',
      'CREATE MATERIALIZED VIEW mails AS SELECT id, email FROM person',
      'CREATE MATERIALIZED VIEW above AS SELECT min(email) AS first FROM mails',
      'CREATE MATERIALIZED VIEW unfilled AS SELECT email FROM person WITH NO DATA',
      'ANALYZE',
      ...[
        'TABLE person',
        'TABLE employee',
        'TABLE seen',
        'MATERIALIZED VIEW mails',
        'MATERIALIZED VIEW above',
        'MATERIALIZED VIEW unfilled',
      ].map((what) => `ALTER ${what} OWNER TO app`),
      ...['TABLES', 'SEQUENCES'].map((what) => `GRANT SELECT ON ALL ${what} IN SCHEMA public TO app`),
    );
    const rules = join(instance.root, 'rules.yaml');
    const url = `postgresql://app:secret@localhost:${instance.port}/app`;
    const pull = ['pull', url, '--as', 'copy', '--trust', '--anonymise', rules, '--json'];
    await writeFile(rules, 'mails: { email: { fake: email } }');
    expect(await run(instance, pull)).toMatchObject({ code: 2, stdout: expect.stringContaining('filled again from its tables') });

    await writeFile(rules, 'person: { email: { fake: email } }');
    const pulling = start(instance, pull);
    let isOver = false;
    const pulled = pulling.ended.finally(() => {
      isOver = true;
    });
    const letIn: unknown[] = [];
    while (!isOver)
      letIn.push(
        ...(await ask(
          instance,
          'postgres',
          `SELECT has_database_privilege('app', d.oid, 'CONNECT') AS app FROM pg_stat_activity a JOIN pg_database d ON d.oid = a.datid
          WHERE a.state = 'active' AND d.datname LIKE 'dbkit_restore_%' AND query LIKE 'UPDATE%person%'`,
        )),
      );
    expect(await pulled, (await pulled).stderr).toMatchObject({ code: 0 });
    expect([...new Set(letIn.map((one) => JSON.stringify(one)))], 'while the rules are obeyed').toEqual(['{"app":false}']);
    expect(await askNumber(instance, 'copy', "SELECT has_database_privilege('app', 'copy', 'CONNECT')::int")).toBe(1);
    const old =
      "SELECT count(*) FROM (SELECT email FROM person UNION ALL SELECT email FROM mails UNION ALL SELECT first FROM above) x WHERE email ~ 'corp'";
    expect(await askNumber(instance, 'copy', old)).toBe(0);
    expect(await askNumber(instance, 'copy', 'SELECT count(*) FROM mails')).toBe(120);
    expect(await askNumber(instance, 'copy', 'SELECT count(*) FROM seen'), 'no trigger of the inherited table has noted them').toBe(0);
    const stats = "SELECT count(*) FROM pg_stats WHERE concat(most_common_vals::text, histogram_bounds::text) ~ 'corp'";
    expect(await askNumber(instance, 'copy', stats)).toBe(0);
    await ask(instance, 'copy', 'CHECKPOINT');
    for (const name of ['person', 'employee', 'mails', 'above']) {
      const [file] = await ask<{ path: string }>(instance, 'copy', `SELECT pg_relation_filepath('${name}') AS path`);
      expect((await readFile(join(instance.dataDir, file!.path))).includes('corp.test'), `dead rows of ${name}`).toBe(false);
    }
    await running.stop();
  },
);

(withDump ? nightly : nightly.skip)('code of a stranger’s database never runs as the superuser while the rules are obeyed', async () => {
  const instance = await openInstance({ programs: withDump!, from: 'template' });
  const running = await boot(instance);
  const asks = (name: string) => `CREATE FUNCTION ${name}(int) RETURNS int LANGUAGE plpgsql`;
  await ask(instance, 'postgres', 'CREATE DATABASE shop OWNER app');
  await ask(
    instance,
    'shop',
    'SET ROLE app',
    'CREATE TABLE person (id int, email text)',
    "INSERT INTO person SELECT g, 'p' || g || '@corp.test' FROM generate_series(1, 50) g",
    `${asks('seize')} VOLATILE AS $$BEGIN
       IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN ALTER ROLE app SUPERUSER; END IF; RETURN 1; END$$`,
    `${asks('looks_harmless')} IMMUTABLE AS $$BEGIN RETURN public.seize($1); END$$`, // The planner asks it, of an index that it does not even use.
    'CREATE INDEX ON person (id) WHERE public.looks_harmless(1) = 1',
  );
  const superuser = "SELECT rolsuper::int FROM pg_roles WHERE rolname = 'app'";
  expect(await askNumber(instance, 'postgres', superuser)).toBe(0);
  const rules = join(instance.root, 'rules.yaml');
  await writeFile(rules, 'person: { email: { fake: email } }');
  const url = `postgresql://app:secret@localhost:${instance.port}/shop`;
  const words = ['pull', url, '--as', 'copy', '--anonymise', rules, '--json'];
  const pulled = await run(instance, words);
  const { report } = JSON.parse(pulled.stdout) as { report: PullReport };
  expect(report?.anonymised, pulled.stderr).toEqual([{ table: 'public.person', column: 'email', how: 'a made-up email', rows: 50 }]);
  expect(await askNumber(instance, 'postgres', superuser), 'nobody became superuser').toBe(0);
  await running.stop();
});

(withDump ? nightly : nightly.skip)('rows that a policy hides are not left out without a word, and their policies come along', async () => {
  const instance = await openInstance({ programs: withDump!, from: 'template' });
  const running = await boot(instance);
  await ask(instance, 'postgres', 'CREATE DATABASE shop OWNER app', "CREATE ROLE auditor LOGIN BYPASSRLS PASSWORD 'secret'");
  await ask(
    instance,
    'shop',
    'SET ROLE app',
    'CREATE TABLE person (id int PRIMARY KEY, tenant int NOT NULL, email text)',
    "INSERT INTO person SELECT g, g % 3, 'p' || g || '@corp.test' FROM generate_series(1, 60) g",
    'ALTER TABLE person ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
    "CREATE POLICY own_rows ON person USING (tenant = current_setting('shop.tenant')::int)",
    'GRANT SELECT ON person TO auditor',
  );
  const rules = join(instance.root, 'rules.yaml');
  await writeFile(rules, 'person: { email: { fake: email } }');
  const pull = (user: string, ...words: string[]) =>
    run(instance, ['pull', `postgresql://${user}:secret@localhost:${instance.port}/shop`, '--as', 'copy', '--json', ...words]);
  const refused = await pull('app');
  expect(refused, 'the owner sees no row of it').toMatchObject({ code: 1, stdout: expect.stringMatching(/row-level security/) });
  expect(await askNumber(instance, 'postgres', "SELECT count(*) FROM pg_database WHERE datname = 'copy' OR datname LIKE 'dbkit%'")).toBe(0);
  const pulled = await pull('auditor', '--anonymise', rules);
  expect(pulled, pulled.stderr).toMatchObject({ code: 0 });
  const { report } = JSON.parse(pulled.stdout) as { report: PullReport };
  expect(report.anonymised).toEqual([{ table: 'public.person', column: 'email', how: 'a made-up email', rows: 60 }]);
  expect(await askNumber(instance, 'copy', "SELECT count(*) FROM person WHERE email ~ '@example\\.com$'")).toBe(60);
  const forced = 'SELECT count(*) FROM pg_class JOIN pg_policy ON polrelid = pg_class.oid WHERE relforcerowsecurity AND relrowsecurity';
  expect(await askNumber(instance, 'copy', forced)).toBe(1);
  const own = await ask(instance, 'copy', 'SET ROLE app', "SET shop.tenant = '1'", 'SELECT count(*)::int AS count FROM person');
  expect(own, 'the owner sees the rows of one tenant').toEqual([{ count: 20 }]);
  expect(await askNumber(instance, 'shop', "SELECT count(*) FROM person WHERE email ~ 'corp'"), 'nothing is written there').toBe(60);
  await running.stop();
});
