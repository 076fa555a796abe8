import { expect, test } from 'vitest';
import type { DiffReport } from '../../src/backups/snapshots/contract.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { openProject } from '../harness/project.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { everywhere } from '../harness/tier.ts';

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
