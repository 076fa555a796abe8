import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { UpgradeReport } from '../../src/upgrade/contract.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, type Ended, readStatus, run, start } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { dumpable, installed, type Programs, runnable } from '../harness/majors.ts';
import { until } from '../harness/processes.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const embedded13 = dumpable.find(({ major }) => major === 13);
const [debian] = installed;

const ok = async (instance: Instance, env: Readonly<Record<string, string>>, ...words: string[]): Promise<Ended> => {
  const ended = await run(instance, words, { env });
  expect(ended, ended.stderr + ended.stdout).toMatchObject({ code: 0 });
  return ended;
};
const reportOf = ({ stdout }: Ended): UpgradeReport => (JSON.parse(stdout) as { report: UpgradeReport }).report;

/** Objects of every kind that a dump of single databases would not bring along. */
const more = [
  "CREATE ROLE reader LOGIN PASSWORD 'secret' CONNECTION LIMIT 5",
  'CREATE ROLE team NOLOGIN',
  'GRANT team TO reader WITH ADMIN OPTION',
  "ALTER ROLE reader SET search_path TO 'archive', public",
  "ALTER DATABASE app SET work_mem TO '7MB'",
  'ALTER DATABASE app OWNER TO team',
  "COMMENT ON DATABASE app IS 'of the shop'",
  'CREATE TABLE in_postgres AS SELECT i FROM generate_series(1, 50) i',
  "ALTER ROLE ALL SET lock_timeout TO '11s'",
  "ALTER DATABASE template1 SET work_mem TO '9MB'",
  'REVOKE TEMPORARY ON DATABASE template1 FROM PUBLIC',
  "ALTER SYSTEM SET vacuum_cleanup_index_scale_factor = '0.2'",
];

async function staged(from: Programs): Promise<Instance> {
  const instance = await openInstance({ programs: from, from: 'template' });
  const running = await boot(instance);
  await addRows(instance, known.ledger + 1, 10);
  for (const statement of more) await ask(instance, 'postgres', statement);
  await ask(instance, 'app', 'GRANT SELECT ON ledger TO reader', 'CREATE SEQUENCE counter', "SELECT setval('counter', 4711)");
  await running.stop();
  return instance;
}

async function expectMore(instance: Instance): Promise<void> {
  await expectAllRows(instance, 10);
  expect(await askNumber(instance, 'postgres', 'SELECT count(*) FROM in_postgres')).toBe(50);
  expect(await askNumber(instance, 'app', 'SELECT last_value FROM counter')).toBe(4711);
  const [facts] = await ask(
    instance,
    'app',
    `SELECT (SELECT rolconnlimit FROM pg_roles WHERE rolname = 'reader') AS connections, (SELECT rolpassword FROM pg_authid WHERE rolname = 'reader') ~ '^(SCRAM|md5)' AS password,
            pg_has_role('reader', 'team', 'member') AS member, has_table_privilege('reader', 'ledger', 'select') AS reads, current_setting('work_mem') AS memory,
            (SELECT rolconfig::text FROM pg_roles WHERE rolname = 'reader') AS path, current_setting('lock_timeout') AS locks,
            (SELECT string_agg(setconfig::text, '') FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = 'template1') AS template,
            has_database_privilege('reader', 'template1', 'TEMPORARY') AS temporary,
            (SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = 'app') AS owner, shobj_description((SELECT oid FROM pg_database WHERE datname = 'app'), 'pg_database') AS comment`,
  );
  expect(facts).toEqual({
    connections: 5,
    password: true,
    member: true,
    reads: true,
    memory: '7MB',
    path: '{"search_path=archive, public"}',
    locks: '11s',
    template: '{work_mem=9MB}',
    temporary: false,
    owner: 'team',
    comment: 'of the shop',
  });
}

const lacksMajors = !embedded13 || !debian || debian.major <= 13;

nightly('data of an older major is upgraded by a dump', async ({ skip }) => {
  if (lacksMajors) skip('no two majors, or no pg_dump');
  const instance = await openInstance({ programs: embedded13!, from: 'template' });
  const to = { POSTGRES_BIN_DIR: debian!.directory, DBKIT_CONFIG: instance.configFile };
  const from = ['--old-bin-dir', (await runnable(embedded13!)).directory];
  expect(reportOf(await ok(instance, to, 'upgrade', ...from, '--yes', '--json'))).toMatchObject({
    done: true,
    method: 'dump',
    missing: [],
  });
  const running = await boot(instance, { env: to });
  await expectAllRows(instance, 0);
  await running.stop();
});

nightly(
  'data of PostgreSQL 13 with all that is in it is upgraded, and undo with the old programs brings the old cluster back',
  async ({ skip }) => {
    if (lacksMajors) skip('no two majors, or no pg_dump');
    const instance = await staged(embedded13!);
    const to = { POSTGRES_BIN_DIR: debian!.directory };
    const from = ['--old-bin-dir', (await runnable(embedded13!)).directory];
    const refused = await run(instance, ['entrypoint'], { env: to });
    expect(refused).toMatchObject({ code: 78, stderr: expect.stringContaining('dbkit upgrade --dry-run') });
    const before = await readdir(join(instance.dataDir));
    const planned = reportOf(await ok(instance, to, 'upgrade', ...from, '--dry-run', '--json'));
    expect(planned).toMatchObject({ done: false, method: 'dump', obstacles: [], from: { major: 13 }, to: { major: debian!.major } });
    expect(await readdir(join(instance.dataDir)), 'a plan touches nothing').toEqual(before);
    const report = reportOf(await ok(instance, to, 'upgrade', ...from, '--yes', '--json'));
    expect(report).toMatchObject({ done: true, missing: [], settings: [{ name: 'vacuum_cleanup_index_scale_factor' }], databases: 3 });
    const running = await boot(instance, { env: to });
    await expectMore(instance);
    expect(await askNumber(instance, 'app', "SELECT current_setting('server_version_num')::int / 10000")).toBe(debian!.major);
    await running.stop();
    await ok(instance, {}, 'backup', 'undo', '--yes');
    const old = await boot(instance);
    await expectMore(instance);
    expect(await askNumber(instance, 'app', "SELECT current_setting('server_version_num')::int / 10000")).toBe(13);
    await old.stop();
  },
);

nightly('a new cluster that does not take its place has put nothing into the archive of the old one', async ({ skip }) => {
  if (lacksMajors) skip('no two majors, or no pg_dump');
  const instance = await openInstance({ programs: embedded13!, from: 'template' });
  const archive = join(instance.root, 'archive-of-somebody');
  await mkdir(archive, { mode: 0o777 });
  await chmod(archive, 0o777); // Also as root, whose server is somebody else's.
  const running = await boot(instance);
  await ask(instance, 'postgres', "ALTER SYSTEM SET archive_mode TO 'on'", `ALTER SYSTEM SET archive_command TO 'cp %p ${archive}/%f'`);
  const [own] = await ask(instance, 'postgres', 'SELECT system_identifier::text AS id FROM pg_control_system()');
  await running.stop();
  const from = ['--old-bin-dir', (await runnable(embedded13!)).directory];
  const env = { POSTGRES_BIN_DIR: debian!.directory, DBKIT_FAIL_AT: 'upgrade.checked:1' };
  const killed = await run(instance, ['upgrade', ...from, '--yes'], { env });
  expect(killed, killed.stderr).toMatchObject({ signal: 'SIGKILL' });
  const segments = (await readdir(archive)).filter((name) => /^[0-9A-F]{24}$/.test(name));
  const clusters = await Promise.all(
    segments.map(async (name) => (await readFile(join(archive, name))).readBigUInt64LE(24).toString()), // xlp_sysid.
  );
  expect([...new Set(clusters)]).toEqual([own!['id']]);
});

nightly('rows of the database postgres that the new major does not take are never left behind', async ({ skip }) => {
  if (lacksMajors) skip('no two majors, or no pg_dump');
  const instance = await openInstance({ programs: embedded13!, from: 'template' });
  const running = await boot(instance);
  await ask(
    instance,
    'postgres',
    `CREATE FUNCTION of_13(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN
       IF pg_catalog.current_setting('server_version_num')::int >= 140000 THEN RAISE 'not with this one'; END IF; RETURN i; END$$`,
    'CREATE TABLE picky (i int, j int GENERATED ALWAYS AS (of_13(i)) STORED)',
    'INSERT INTO picky SELECT g FROM generate_series(1, 30) g',
  );
  await running.stop();
  const to = { POSTGRES_BIN_DIR: debian!.directory };
  const words = ['upgrade', '--old-bin-dir', (await runnable(embedded13!)).directory, '--yes', '--allow-missing'];
  const refused = await run(instance, words, { env: to });
  expect(refused, refused.stderr).toMatchObject({ code: 65, stderr: expect.stringContaining('public.picky has 0 rows instead of 30') });
  const old = await boot(instance);
  expect(await askNumber(instance, 'postgres', 'SELECT count(*) FROM picky')).toBe(30);
  await expectAllRows(instance, 0);
  await old.stop();
});

nightly('an upgrade under a supervisor is its own work: whoever asked may be killed, and the server serves again', async ({ skip }) => {
  if (lacksMajors) skip('no two majors, or no pg_dump');
  const instance = await openInstance({ programs: embedded13!, from: 'template' });
  const env = { POSTGRES_BIN_DIR: undefined, PATH: `${(await runnable(embedded13!)).directory}:${process.env['PATH']}` };
  const words = ['upgrade', '--to', String(debian!.major), '--yes'];
  const majorNow = (): Promise<number> => askNumber(instance, 'app', "SELECT current_setting('server_version_num')::int / 10000");
  const running = await boot(instance, { env });
  const asked = start(instance, words, { env });
  const staged = join(instance.dataDir, '.dbkit', 'staged');
  let end: Ended | undefined;
  void asked.ended.then((ended) => {
    end = ended;
  });
  await until(
    async () => end !== undefined || existsSync(join(staged, 'PG_VERSION')),
    () => `the upgrade does not begin:\n${asked.words()}`,
    120_000,
  );
  expect(end, asked.words()).toBeUndefined();
  expect((await asked.stop('SIGKILL')).signal).toBe('SIGKILL');
  await until(
    async () => (await readStatus(instance))?.services[0]?.state === 'ready' && !existsSync(staged),
    () => `the server does not serve again:\n${running.words()}`,
    120_000,
  );
  expect(await majorNow()).toBe(13);
  await expectAllRows(instance, 0);

  const done = await run(instance, words, { env });
  expect(done, done.stderr + running.words()).toMatchObject({ code: 0 });
  expect(await majorNow()).toBe(debian!.major);
  await expectAllRows(instance, 0);
  const history = await run(instance, ['recover', 'history', '--json'], { env });
  const { report } = JSON.parse(history.stdout) as { report: { recoveries: { reason: string }[] } };
  expect(report.recoveries.filter(({ reason }) => reason === 'upgrade-asked-for')).toHaveLength(1);
  await running.stop();
});
