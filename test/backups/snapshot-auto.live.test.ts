import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { DiffReport } from '../../src/backups/snapshots/contract.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { installed, runnable } from '../harness/majors.ts';
import { emptyFolder } from '../harness/package.ts';
import { openProject } from '../harness/project.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { everywhere, nightly } from '../harness/tier.ts';

const properties = `
  SELECT pg_get_userbyid(datdba) AS owner, datconnlimit AS limit, shobj_description(d.oid, 'pg_database') AS comment,
         has_database_privilege('visitor', d.oid, 'CONNECT') AS visitor, has_database_privilege('stranger', d.oid, 'CONNECT') AS stranger
    FROM pg_database d WHERE datname = 'app'`;

test.each(everywhere ? installed : [installed[0]!])(
  'a branch is left with a migration and come back to, and each has its own data ($major)',
  async (programs) => {
    const instance = await openInstance({ programs, from: 'template' });
    const running = await boot(instance);
    const { git, dbkit } = await openProject(instance);
    await ask(
      instance,
      'postgres',
      'CREATE ROLE visitor LOGIN',
      'CREATE ROLE stranger LOGIN',
      'GRANT CONNECT ON DATABASE app TO visitor',
      'REVOKE CONNECT ON DATABASE app FROM PUBLIC',
      'ALTER DATABASE app CONNECTION LIMIT 40',
      "COMMENT ON DATABASE app IS 'ours'",
    );
    const before = await ask(instance, 'postgres', properties);
    const on = await dbkit(['snapshot', 'auto', 'on']);
    expect(on, on.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining('off: `dbkit snapshot auto off`') });

    expect(await git('checkout', '-b', 'feature/größer')).toMatch(
      /dbkit: the data of main is saved, and feature\/größer begins with the same/,
    );
    await expectAllRows(instance, 0);
    await ask(instance, 'app', 'ALTER TABLE ledger ADD COLUMN currency text', 'DROP TABLE documents');
    expect(await git('checkout', 'main')).toMatch(
      /dbkit: the data of feature\/größer is saved, and app is as main left it .*off: `dbkit snapshot auto off`/,
    );
    await expectAllRows(instance, 0);
    expect(await ask(instance, 'postgres', properties), 'owner, privileges, limit and comment').toEqual(before);
    await addRows(instance, known.ledger + 1, 10);

    const diff = await run(instance, ['snapshot', 'diff', 'branch:feature/größer', '--json']);
    const { report } = JSON.parse(diff.stdout) as { report: DiffReport };
    expect(report.schema.map(({ change, name }) => `${change} ${name}`)).toEqual(
      expect.arrayContaining(['removed public.ledger.currency', 'added public.documents']),
    );
    const hidden =
      "SELECT count(*) FROM pg_database WHERE datname LIKE 'dbkit_snapshot%' AND has_database_privilege('visitor', oid, 'CONNECT')";
    expect(await askNumber(instance, 'postgres', hidden), 'the data of another branch is nobody else’s').toBe(0);

    expect(await git('checkout', '-q', '--detach', 'feature/größer'), 'nothing is said of a detached HEAD').toBe('');
    await expectAllRows(instance, 10);
    await git('checkout', '-q', 'feature/größer');
    expect(await askNumber(instance, 'app', 'SELECT count(currency) + count(*) FROM ledger')).toBe(known.ledger);
    expect(await askNumber(instance, 'app', "SELECT count(to_regclass('documents'))")).toBe(0);
    await git('checkout', '-q', 'main');
    await expectAllRows(instance, 10);

    expect(await dbkit(['snapshot', 'auto', 'off'])).toMatchObject({ code: 0 });
    expect(await git('checkout', '-q', 'feature/größer')).toBe('');
    await expectAllRows(instance, 10);
    await running.stop();
  },
);

nightly('the database of one folder, as `npm start` serves it, follows git too: the hook keeps --local', async () => {
  const folder = await emptyFolder();
  const { directory } = await runnable(installed[0]!);
  const run = async (file: string, ...args: string[]): Promise<string> => {
    const env = { ...process.env, POSTGRES_BIN_DIR: directory, GIT_CONFIG_NOSYSTEM: '1' };
    const { stdout, stderr } = await promisify(execFile)(file, args, { cwd: folder, env });
    return `${stdout}${stderr}`;
  };
  const git = (...words: string[]): Promise<string> => run('git', '-c', 'user.name=a', '-c', 'user.email=a@example.org', ...words);
  const dbkit = (...words: string[]): Promise<string> => run(process.execPath, resolve('bin/dbkit.js'), ...words, '--local');
  const tables = (): Promise<string> =>
    dbkit('sql', '--csv', '-c', "SELECT to_regclass('users') AS users, to_regclass('orders') AS orders");
  await git('init', '-q', '-b', 'main');
  await git('commit', '-q', '--allow-empty', '-m', 'one');
  try {
    await dbkit('up', '--detach');
    await dbkit('sql', '-c', 'CREATE TABLE users (id int)');
    await dbkit('snapshot', 'auto', 'on');
    expect(await git('switch', '-c', 'feature')).toContain('dbkit: the data of main is saved, and feature begins with the same');
    await dbkit('sql', '-c', 'CREATE TABLE orders (id int)');
    expect(await git('switch', 'main')).toContain('as main left it');
    expect(await tables()).toBe('users,orders\nusers,\n');
    expect(await git('switch', 'feature')).toContain('as feature left it');
    expect(await tables()).toBe('users,orders\nusers,orders\n');
  } finally {
    await dbkit('down');
  }
});
