import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { PullReport } from '../../src/backups/pull/pull.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { expectAllRows, known } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const withDump = installed.find(({ directory }) => existsSync(join(directory, 'pg_dump')));

(withDump ? nightly : nightly.skip)(
  'a database of another server comes under a new name, without some rows and without persons, or not at all',
  async () => {
    const instance = await openInstance({ programs: withDump!, from: 'template' });
    const running = await boot(instance);
    await ask(
      instance,
      'app',
      'CREATE TABLE person (id int PRIMARY KEY, email varchar(30) UNIQUE NOT NULL, born date)',
      "INSERT INTO person SELECT g, 'p' || g || '@corp.test', '2000-01-01' FROM generate_series(1, 50) g",
      'CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO documents SELECT 1000 + old.id, old.email, old.email; RETURN new; END$$',
      'CREATE TRIGGER tells AFTER UPDATE ON person FOR EACH ROW EXECUTE FUNCTION note()',
    );
    await ask(instance, 'app', 'ALTER TABLE person OWNER TO app', 'ALTER FUNCTION note() OWNER TO app');
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
