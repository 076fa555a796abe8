import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { ListedBackup } from '../../src/backups/list-backups.ts';
import type { PullReport } from '../../src/backups/pull/pull.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { expectAllRows } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const programs = installed.find(({ directory }) => existsSync(join(directory, 'pg_dump')));
/** Names that would end a comment, a quote, a line of a log or of a list. */
const NASTY = 'x\n\\! touch /nowhere\n\u001b[31m"; DROP TABLE goods; --';
const id = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** On the server that pulls it tries everything that makes a superuser, or runs a program; at home it is quiet. */
const evil = (port: number, file: string): string => `
  CREATE FUNCTION evil(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
  DECLARE statement text; way text;
  BEGIN
    IF current_setting('port') <> '${port}' THEN RETURN $1; END IF;
    FOREACH way IN ARRAY ARRAY['SELECT 1', 'RESET ROLE', 'RESET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION postgres', 'SET ROLE postgres'] LOOP
      FOREACH statement IN ARRAY ARRAY[
        'ALTER ROLE shopkeeper SUPERUSER', 'ALTER ROLE app SUPERUSER', 'CREATE ROLE seized SUPERUSER', 'SELECT pg_read_file(''PG_VERSION'')',
        'COPY (SELECT 1) TO PROGRAM ''touch ${file}''', 'COPY (SELECT 1) TO ''${file}''', 'ALTER SYSTEM SET archive_command = ''touch ${file}'''] LOOP
        BEGIN
          EXECUTE way;
          EXECUTE statement;
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
      END LOOP;
    END LOOP;
    RETURN $1;
  END $$`;

/** Wherever PostgreSQL evaluates what an owner has written. */
async function makeShop(there: Instance, port: number, file: string): Promise<void> {
  await ask(there, 'postgres', "CREATE ROLE shopkeeper LOGIN PASSWORD 'secret'", 'CREATE DATABASE shop OWNER shopkeeper');
  await ask(
    there,
    'shop',
    'GRANT ALL ON SCHEMA public TO shopkeeper',
    'SET SESSION AUTHORIZATION shopkeeper',
    evil(port, file),
    'CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.evil(1); RETURN NEW; END $$',
    'CREATE DOMAIN counted AS int CHECK (public.evil(VALUE) >= 0)',
    `CREATE TABLE goods (n counted PRIMARY KEY, twice int GENERATED ALWAYS AS (public.evil(2)) STORED, d int DEFAULT public.evil(3), email text, CHECK (public.evil(4) = 4))`,
    'INSERT INTO goods (n, email) SELECT n, n || $$@corp.test$$ FROM generate_series(1, 100) AS n',
    'CREATE INDEX ON goods (public.evil(n)) WHERE public.evil(5) = 5',
    'CREATE STATISTICS told ON (public.evil(n)), d FROM goods',
    'CREATE TRIGGER fires BEFORE INSERT OR UPDATE ON goods FOR EACH ROW EXECUTE FUNCTION fires()',
    'CREATE MATERIALIZED VIEW seen AS SELECT public.evil(n) AS n FROM goods',
    'CREATE VIEW shown WITH (security_barrier) AS SELECT n FROM goods WHERE public.evil(6) = 6',
    'CREATE POLICY hides ON goods USING (public.evil(7) = 7)',
    'CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT public.evil(8) = 8 $$',
    'CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = same)',
    'CREATE FUNCTION definer() RETURNS int LANGUAGE sql SECURITY DEFINER AS $$ SELECT public.evil(9) $$',
    `CREATE TABLE ${id(NASTY)} (${id(NASTY.slice(0, 60))} int DEFAULT public.evil(10))`,
    `INSERT INTO ${id(NASTY)} VALUES (1)`,
    'ANALYZE',
  );
}

nightly('nothing of a database that is pulled from a stranger runs as the superuser, then or later', async ({ skip }) => {
  skip(!programs, 'no major with pg_dump is installed');
  const here = await openInstance({ programs: programs!, from: 'template' });
  const there = await openInstance({ programs: programs!, from: 'template' });
  const file = join(here.root, 'seized');
  const serving = await boot(there);
  let running = await boot(here);
  await makeShop(there, here.port, file);
  const untouched = async (when: string): Promise<void> => {
    expect(existsSync(file), when).toBe(false);
    const mighty = "SELECT string_agg(rolname, ',' ORDER BY rolname) AS names FROM pg_roles WHERE rolsuper";
    expect(await ask(here, 'postgres', mighty), when).toEqual([{ names: 'postgres' }]);
    expect(await ask(here, 'postgres', 'SHOW archive_command'), when).not.toEqual([{ archive_command: `touch ${file}` }]);
  };
  const url = `postgresql://shopkeeper:secret@localhost:${there.port}/shop`;
  await ask(
    there,
    'shop',
    'CREATE FUNCTION told() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.evil(11); END $$',
    'CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION told()',
  );
  const refused = await run(here, ['pull', url, '--as', 'shop']);
  expect(refused, refused.stderr).toMatchObject({ code: 77, stderr: expect.stringContaining('--trust') });
  await untouched('what a superuser must make is refused');
  await ask(there, 'shop', 'DROP EVENT TRIGGER watch', 'DROP FUNCTION told');

  const rules = join(here.root, 'rules.yaml');
  await writeFile(rules, 'goods: { email: { fake: email } }');
  for (const words of [
    ['--as', 'shop'],
    ['--as', 'shop_2', '--anonymise', rules],
  ]) {
    const pulled = await run(here, ['pull', url, ...words, '--json']);
    expect(pulled, pulled.stderr).toMatchObject({ code: 0 });
    expect((JSON.parse(pulled.stdout) as { report: PullReport }).report.rows, pulled.stdout).toBeGreaterThanOrEqual(101);
    expect(pulled.stderr).not.toContain('\u001b[31m');
    await untouched(words.join(' '));
  }
  expect(await askNumber(here, 'shop', 'SELECT count(*) FROM goods')).toBe(100);
  expect(await ask(here, 'postgres', "SELECT pg_get_userbyid(datdba)::text AS owner FROM pg_database WHERE datname = 'shop'")).toEqual([
    { owner: 'shopkeeper' },
  ]);
  await running.stop();
  running = await boot(here);
  await untouched('after the next start');
  const dump = await run(here, ['backup', 'create', '--engine', 'dump', '--database', 'shop', '--json']);
  expect(dump, dump.stderr).toMatchObject({ code: 0 });
  const { label } = (JSON.parse(dump.stdout) as { report: { backup: ListedBackup } }).report.backup;
  for (const words of [
    ['maintenance', 'vacuum', '--all', '--database', 'shop'],
    ['maintenance', 'analyze', '--all', '--database', 'shop'],
    ['maintenance', 'reindex', '--all', '--database', 'shop'],
    ['snapshot', 'save', 'before', '--database', 'shop'],
    ['snapshot', 'diff', 'before', '--database', 'shop'],
    ['backup', 'verify', label, '--test'],
    ['backup', 'restore', label, '--into', 'shop_3'],
    ['seed', 'save', join(here.root, 'seed.sql'), '--database', 'shop'],
    ['backup', 'create'],
    ['health'],
  ]) {
    const ended = await run(here, words);
    expect(ended.code, `${words.join(' ')}\n${ended.stderr}`).not.toBe(70);
    await untouched(words.join(' '));
  }
  await expectAllRows(here, 0);
  await running.stop();
  await serving.stop();
});
