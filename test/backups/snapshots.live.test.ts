import { existsSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import type { DiffReport, RestoredReport, SavedReport } from '../../src/backups/snapshots/contract.ts';
import type { Snapshot } from '../../src/backups/snapshots/snapshot.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { everywhere } from '../harness/tier.ts';

async function report<T>(instance: Instance, ...words: string[]): Promise<T> {
  const { stdout, stderr } = await run(instance, ['snapshot', ...words, '--json']);
  const document = JSON.parse(stdout) as { report?: T };
  if (!document.report) throw new Error(stdout + stderr);
  return document.report;
}

const withDump = installed.find(({ directory }) => existsSync(join(directory, 'pg_dump')));
const properties = `
  SELECT pg_get_userbyid(datdba) AS owner, datconnlimit AS limit, shobj_description(d.oid, 'pg_database') AS comment, ARRAY(SELECT one::text FROM unnest(datacl) one ORDER BY 1) AS acl,
         (SELECT array_agg(setrole::regrole || ':' || setconfig::text ORDER BY 1) FROM pg_db_role_setting WHERE setdatabase = d.oid) AS settings
    FROM pg_database d WHERE datname = 'app'`;

test.each(everywhere ? installed : [withDump ?? installed[0]!])(
  'a database is saved, restored in its place, and put back again ($major)',
  async (programs) => {
    const instance = await openInstance({ programs, from: 'template' });
    const running = await boot(instance);
    await ask(
      instance,
      'postgres',
      'CREATE ROLE reader',
      'CREATE ROLE keeper',
      'ALTER DATABASE app OWNER TO keeper',
      'GRANT CONNECT ON DATABASE app TO reader WITH GRANT OPTION',
      'REVOKE TEMPORARY ON DATABASE app FROM PUBLIC',
      'ALTER DATABASE app CONNECTION LIMIT 40',
      `ALTER DATABASE app SET search_path = "$user", public, "odd one"`,
      "ALTER ROLE postgres IN DATABASE app SET work_mem = '7MB'",
      "COMMENT ON DATABASE app IS 'it''s ours'",
    );
    const before = await ask(instance, 'postgres', properties);

    const client = new pg.Client({ host: instance.socketDir, port: instance.port, user: 'postgres', database: 'app' });
    client.on('error', () => undefined);
    await client.connect(); // A session that stays.
    const saved = await report<SavedReport>(instance, 'save', `it's "one"`);
    await client.end().catch(() => undefined);
    expect(saved).toMatchObject({
      name: `it's "one"`,
      of: 'app',
      endedSessions: 1,
      database: expect.stringMatching(/^dbkit_snapshot_\d{8}_\d{6}$/),
    });
    expect(saved.sizeBytes).toBeGreaterThan(1_000_000);
    expect(await run(instance, ['snapshot', 'save', `it's "one"`])).toMatchObject({
      code: expect.any(Number),
      stderr: expect.stringContaining('already'),
    });
    const closed = await ask<{ may: boolean }>(
      instance,
      'postgres',
      `SELECT has_database_privilege('reader', '${saved.database}', 'CONNECT') AS may`,
    );
    expect(closed).toEqual([{ may: false }]);

    await addRows(instance, known.ledger + 1, 10);
    await ask(
      instance,
      'app',
      'ALTER TABLE ledger ADD COLUMN twice integer GENERATED ALWAYS AS (1 + 1) STORED',
      'CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS $$SELECT 1$$',
      "COMMENT ON FUNCTION one() IS 'of the test'",
      'CREATE STATISTICS both_ids ON id, twice FROM ledger',
      'CREATE TYPE pair AS (a integer)',
      'CREATE CAST (pair AS text) WITH INOUT',
      'CREATE OPERATOR @#@ (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4pl)',
      'CREATE PUBLICATION everything FOR ALL TABLES',
      'CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$',
      "CREATE EVENT TRIGGER ddl ON ddl_command_end WHEN TAG IN ('CREATE CAST') EXECUTE FUNCTION on_ddl()",
      'CREATE FOREIGN DATA WRAPPER nothing',
      'CREATE SERVER away FOREIGN DATA WRAPPER nothing',
      'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app',
    );
    await ask(instance, 'app', 'DROP TABLE documents', 'ALTER DATABASE app RESET search_path', 'ALTER DATABASE app CONNECTION LIMIT 5');
    const compared = await report<DiffReport>(instance, 'diff', `it's "one"`);
    expect(compared).toMatchObject({ database: 'app', at: saved.at, same: false });
    expect(compared.schema).toContainEqual({
      kind: 'table',
      name: 'public.documents',
      table: null,
      change: 'removed',
      before: expect.any(String),
      after: null,
    });
    expect(
      compared.schema.flatMap(({ change, kind, name, table }) =>
        (table ?? name) === 'public.documents' ? [] : [`${change} ${kind} ${name}`],
      ),
    ).toEqual([
      'added cast public.pair AS text',
      'added column public.ledger.twice',
      'added comment function public.one()',
      'added default privileges postgres r',
      'added event trigger ddl',
      'added foreign server away',
      'added function public.on_ddl()',
      'added function public.one()',
      'added operator public.@#@(integer,integer)',
      'added publication everything',
      'added statistics public.both_ids',
      'added type public.pair',
    ]);
    expect(compared.rows).toEqual([
      { table: 'public.documents', before: expect.any(Number), after: null },
      { table: 'public.ledger', before: known.ledger, after: known.ledger + 10 },
    ]);
    const restored = await report<RestoredReport>(instance, 'restore', `it's "one"`);
    expect(await report<DiffReport>(instance, 'diff', `it's "one"`)).toMatchObject({ same: true, schema: [], rows: [] });
    expect(restored).toMatchObject({ database: 'app', missing: [], replaced: expect.stringMatching(/^app_replaced_\d{8}_\d{6}$/) });
    await expectAllRows(instance, 0);
    expect(await ask(instance, 'postgres', properties)).toEqual(before);
    expect(await askNumber(instance, restored.replaced!, 'SELECT count(*) FROM ledger'), 'what was there').toBe(known.ledger + 10);

    await ask(instance, 'postgres', ...restored.undo);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger'), 'back again').toBe(known.ledger + 10);
    await report<RestoredReport>(instance, 'restore', `it's "one"`); // The snapshot is still there.
    await expectAllRows(instance, 0);

    const { snapshots } = await report<{ snapshots: Snapshot[] }>(instance, 'list');
    expect(snapshots).toEqual([{ name: saved.name, of: 'app', at: saved.at, sizeBytes: saved.sizeBytes, database: saved.database }]);
    const wrong = await run(instance, ['snapshot', 'restore', 'other']);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining(`there are: it's "one"`) });
    expect(await run(instance, ['snapshot', 'save', '--database', 'nowhere'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('nowhere'),
    });
    if (withDump && withDump.major >= programs.major) {
      const dumped = await run(instance, ['backup', 'create', '--engine', 'dump', '--json']);
      expect((JSON.parse(dumped.stdout) as { report: unknown }).report, dumped.stdout + dumped.stderr).toBeDefined();
      expect(dumped.stdout).not.toContain('dbkit_snapshot_');
    }
    await report<Snapshot>(instance, 'delete', `it's "one"`);
    expect(await report(instance, 'list')).toEqual({ snapshots: [] });
    expect(await run(instance, ['snapshot', 'delete', `it's "one"`])).toMatchObject({ code: 2 });
    expect(await askNumber(instance, 'postgres', "SELECT count(*) FROM pg_database WHERE datname LIKE 'dbkit%'"), 'nothing is left').toBe(
      0,
    );
    await ask(instance, 'postgres', 'ALTER DATABASE app CONNECTION LIMIT -1');
    await ask(
      instance,
      'app',
      'CREATE SUBSCRIPTION "from elsewhere" CONNECTION \'host=/nowhere\' PUBLICATION p WITH (connect = false, slot_name = none_there)',
    );
    await ask(instance, 'app', 'ALTER SUBSCRIPTION "from elsewhere" ENABLE');
    const refused = await run(instance, ['snapshot', 'save']);
    expect(refused).toMatchObject({ code: 77, stderr: expect.stringContaining('ALTER SUBSCRIPTION "from elsewhere" DISABLE') });
    const off = ['DISABLE', 'SET (slot_name = NONE)'].map((what) => `ALTER SUBSCRIPTION "from elsewhere" ${what}`);
    await ask(instance, 'app', ...off, 'DROP SUBSCRIPTION "from elsewhere"');
    await running.stop();
  },
);
