import { existsSync } from 'node:fs';
import { appendFile, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import type { ListedBackup } from '../../src/backups/list-backups.ts';
import type { LoadReport } from '../../src/backups/load-dump.ts';
import { createLocks } from '../../src/machine/locks.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const locks = createLocks({ PATH: process.env['PATH'] ?? '' });

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
const dump = async (instance: Instance, ...flags: string[]): Promise<ListedBackup> =>
  (await report<{ backup: ListedBackup }>(instance, 'backup', 'create', '--engine', 'dump', ...flags)).backup;

const odd = [
  'CREATE SCHEMA "Größe ""1"""',
  'CREATE TABLE "Größe ""1"""."a b" AS SELECT i FROM generate_series(1, 7) i',
  'CREATE TABLE parts (i int) PARTITION BY RANGE (i)',
  'CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100)',
  'INSERT INTO parts SELECT generate_series(1, 50)',
  'CREATE TABLE parent (i int)',
  'CREATE TABLE child () INHERITS (parent)',
  'INSERT INTO child VALUES (1), (2)',
  'CREATE TABLE empty ()',
  'CREATE MATERIALIZED VIEW summed AS SELECT sum(amount) FROM ledger',
  'CREATE VIEW seen AS SELECT * FROM ledger',
  "SELECT lo_from_bytea(0, 'large')",
  "ALTER DATABASE app SET work_mem = '7MB'",
];

test('a dump brings a database back in the place of the one that is there, which is kept', async ({ skip }) => {
  needsPgDump(skip);
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const running = await boot(instance);
  await ask(instance, 'app', ...odd);
  const taken = await dump(instance, '--database', 'app');
  expect((await stat(join(taken.path, 'manifest.json'))).mode & 0o777).toBe(0o600);
  await addRows(instance, known.ledger + 1, 10);
  await ask(instance, 'app', 'DROP TABLE documents', 'DROP SCHEMA "Größe ""1""" CASCADE');

  const stubborn = new pg.Client({ host: instance.socketDir, port: instance.port, user: 'postgres', database: 'app' });
  stubborn.on('error', () => undefined);
  await stubborn.connect(); // Sessions that stay are ended for the swap.
  const loaded = await report<LoadReport>(instance, 'backup', 'restore', taken.label, '--yes');
  await stubborn.end().catch(() => undefined);
  expect(loaded).toMatchObject({ database: 'app', into: 'app', replaced: expect.stringMatching(/^app_replaced_\d{8}_\d{6}$/) });
  await expectAllRows(instance, 0);
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM "Größe ""1"""."a b"')).toBe(7);
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM parts')).toBe(50);
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM pg_largeobject_metadata')).toBe(1);
  expect(await ask(instance, 'app', 'SHOW work_mem')).toEqual([{ work_mem: '7MB' }]);
  expect(await askNumber(instance, loaded.replaced!, 'SELECT count(*) FROM ledger'), 'what was there').toBe(known.ledger + 10);

  await ask(instance, 'postgres', 'CREATE TABLE of_postgres AS SELECT generate_series(1, 30) AS i');
  const own = await dump(instance, '--database', 'postgres');
  const refused = await run(instance, ['backup', 'restore', own.label, '--yes']);
  expect(refused, refused.stderr).toMatchObject({ code: 77, stderr: expect.stringContaining('--into NAME') });
  await ask(instance, 'app', 'DROP DATABASE postgres WITH (FORCE)');
  expect(await report(instance, 'backup', 'restore', own.label, '--yes'), 'there is none to work in').toMatchObject({ replaced: null });
  expect(await askNumber(instance, 'postgres', 'SELECT count(*) FROM of_postgres')).toBe(30);
  expect(await askNumber(instance, 'postgres', "SELECT count(*) FROM pg_database WHERE datname LIKE 'dbkit%'")).toBe(0);
  await running.stop();
});

nightly('under a new name nothing is replaced, and a name that is taken is refused', async ({ skip }) => {
  needsPgDump(skip);
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const running = await boot(instance);
  const taken = await dump(instance);
  const ambiguous = await run(instance, ['backup', 'restore', taken.label, '--yes']);
  expect(ambiguous, ambiguous.stderr).toMatchObject({ code: 2, stderr: expect.stringMatching(/--database: app, archive/) });
  await report(instance, 'backup', 'restore', taken.label, '--database', 'archive', '--into', `o'ld "1"`);
  expect(await askNumber(instance, `o'ld "1"`, 'SELECT count(*) FROM ledger')).toBe(known.archive);
  const together = ['one', 'two'].map((name) => run(instance, ['backup', 'restore', taken.label, '--database', 'app', '--into', name]));
  for (const { code, stderr } of await Promise.all(together)) expect(code, stderr).toBe(0);
  const refused = await run(instance, ['backup', 'restore', taken.label, '--database', 'archive', '--into', 'app']);
  expect(refused, refused.stderr).toMatchObject({ code: 73 });
  expect((await run(instance, ['backup', 'restore', taken.label, '--database', 'app'])).code, 'without --yes and a terminal').toBe(77);
  await expectAllRows(instance, 0);
  await running.stop();
});

test('a dump is verified by its bytes, by its contents, and by restoring it; a tampered one is refused', async ({ skip }) => {
  needsPgDump(skip);
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const running = await boot(instance);
  const taken = await dump(instance);
  expect(await run(instance, ['backup', 'verify', taken.label, '--test'])).toMatchObject({ code: 0 });
  const listed = async () => (await report<{ backups: ListedBackup[] }>(instance, 'backup', 'list')).backups[0]!;
  expect(await listed()).toMatchObject({ label: taken.label, kind: 'logical', engine: 'dump', state: 'proven' });
  expect(await askNumber(instance, 'postgres', "SELECT count(*) FROM pg_database WHERE datname LIKE 'dbkit%'"), 'nothing is left').toBe(0);

  const folder = (await readdir(taken.path)).find((name) => name.startsWith('database-'))!;
  const file = (await readdir(join(taken.path, folder))).find((name) => name.endsWith('.dat.gz'))!;
  await appendFile(join(taken.path, folder, file), 'x');
  expect(await run(instance, ['backup', 'verify', taken.label])).toMatchObject({ code: 65, stdout: expect.stringContaining(file) });
  expect((await listed()).state).toBe('damaged');
  expect((await run(instance, ['backup', 'restore', taken.label, '--database', 'app', '--yes'])).code).toBe(65);
  await expectAllRows(instance, 0);
  expect((await run(instance, ['backup', 'create', '--engine', 'dump', '--database', 'nowhere'])).code).toBe(2);
  await running.stop();
});

// dump-of-a-real-schema.live.test.ts and, for whose dump nobody answers, dump-of-a-stranger.live.test.ts look at roles each day.
nightly(
  'roles come back with what they may and whose members they are; their passwords only where that was asked for',
  async ({ skip }) => {
    needsPgDump(skip);
    const instance = await openInstance({ programs: programs!, from: 'template' });
    const running = await boot(instance);
    await ask(
      instance,
      'app',
      'CREATE ROLE team',
      `CREATE ROLE "O'Neil" LOGIN PASSWORD 'first' CONNECTION LIMIT 3 VALID UNTIL '2040-01-01'`,
      'GRANT team TO "O\'Neil" WITH ADMIN OPTION',
      'ALTER ROLE team SET search_path = "$user", public, "odd, name"',
      `ALTER ROLE "O'Neil" IN DATABASE app SET work_mem = '9MB'`,
      'ALTER DATABASE app SET search_path = archive, public',
      'ALTER ROLE "O\'Neil" REPLICATION',
    );
    const roles = () =>
      ask(
        instance,
        'app',
        `SELECT rolname, rolconnlimit, rolvaliduntil, rolconfig, (SELECT count(*)::int FROM pg_auth_members WHERE member = r.oid AND admin_option) AS admins
         FROM pg_roles r WHERE rolname IN ('team', 'O''Neil') ORDER BY 1`,
      );
    const password = async () =>
      (await ask(instance, 'app', `SELECT rolpassword FROM pg_authid WHERE rolname = 'O''Neil'`))[0]?.['rolpassword'];
    const [before, hash] = [await roles(), await password()];
    const plain = await dump(instance, '--database', 'app');
    const whole = await dump(instance, '--all', '--role-passwords');
    expect(await readFile(join(plain.path, 'manifest.json'), 'utf8')).not.toContain('SCRAM');
    const forget = () => ask(instance, 'app', `ALTER ROLE "O'Neil" IN DATABASE app RESET ALL`, 'DROP ROLE "O\'Neil"', 'DROP ROLE team');

    await forget();
    const restored = await run(instance, ['backup', 'restore', plain.label, '--into', 'again']);
    expect(restored, restored.stderr).toMatchObject({ code: 0, stderr: expect.stringMatching(/ALTER ROLE "O'Neil" REPLICATION/) });
    expect(await roles()).toEqual(before);
    expect(await password()).toBeNull();
    const settings = `SELECT coalesce(setrole::regrole::text, '') AS role, setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase WHERE datname = `;
    expect(await ask(instance, 'again', `${settings} 'again' ORDER BY 1`)).toEqual([
      { role: '"O\'Neil"', setconfig: ['work_mem=9MB'] },
      { role: '-', setconfig: ['search_path=archive, public'] },
    ]);

    await ask(instance, 'postgres', 'DROP DATABASE again');
    await forget();
    await report(instance, 'backup', 'restore', whole.label, '--database', 'postgres', '--into', 'office');
    expect(await password()).toBe(hash);
    expect((await run(instance, ['backup', 'create', '--database', 'app'])).code, 'a base backup holds every database').toBe(2);
    await running.stop();
  },
);

test('what is being read is not removed by retention', async ({ skip }) => {
  needsPgDump(skip);
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const running = await boot(instance);
  const first = await dump(instance, '--database', 'app');
  const reader = await locks.hold(first.path, 'shared');
  await dump(instance, '--database', 'app');
  const cleanup = () => run(instance, ['backup', 'cleanup'], { env: { MAX_BACKUPS: '1' } });
  expect((await cleanup()).stdout).toMatch(/it is being read/);
  expect(existsSync(first.path)).toBe(true);
  await reader!.release();
  await cleanup();
  expect(existsSync(first.path)).toBe(false);
  await running.stop();
});
