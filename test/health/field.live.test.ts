import { execFileSync } from 'node:child_process';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import type { HealthReport, ProbeReport } from '../../src/health/health.ts';
import { serverUser } from '../harness/as-user.ts';
import { ask } from '../harness/ask.ts';
import { boot, type RunOptions, run } from '../harness/dbkit.ts';
import { ownedBy } from '../harness/files.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { POOLER, serverThat } from '../harness/pretended-server.ts';
import { until } from '../harness/processes.ts';

const [programs] = installed;

/** The probe's answer to `dbkit health`. */
async function probe(
  instance: Instance,
  name: string,
  { flags = [], ...options }: RunOptions & { readonly flags?: readonly string[] } = {},
): Promise<ProbeReport> {
  const { stdout, stderr } = await run(instance, ['health', '--json', '--probe', name, ...flags], options);
  const report = (JSON.parse(stdout) as { report?: HealthReport }).report;
  if (!report) throw new Error(stdout + stderr);
  return report.probes.find((one) => one.name === name)!;
}

/** A client that waits for something, until the test is over. */
async function waiting({ socketDir: host, port }: Instance, sql: string): Promise<void> {
  const session = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
  session.on('error', () => undefined);
  await session.connect();
  onTestFinished(() => session.end().catch(() => undefined));
  void session.query(sql).catch(() => undefined);
}

/** A certificate of the server's own, and lines that let nobody in over TCP without TLS. */
async function encrypt({ dataDir }: Instance): Promise<void> {
  const [key, certificate] = [join(dataDir, 'server.key'), join(dataDir, 'server.crt')];
  const made = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    key,
    '-out',
    certificate,
    '-days',
    '1',
    '-subj',
    '/CN=localhost',
  ];
  execFileSync('openssl', made, { stdio: 'ignore' });
  for (const path of [key, certificate]) await ownedBy(path, serverUser);
  await writeFile(join(dataDir, 'pg_hba.conf'), 'local all all trust\nhostssl all all all scram-sha-256\n');
}

/** One server for all of them, as each only looks: what people were bitten by, one after the other, and undone again. */
test('health sees what people were bitten by: prepared transactions, slots, absent standbys, archiving, triggers', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  await configure(instance, {
    postgresql: { settings: { max_prepared_transactions: 2, wal_level: 'logical', archive_mode: 'on', archive_command: 'false' } },
    health: {
      blocked: { warning: 0, critical: 0 },
      idleInTransaction: { warning: 0, critical: 0 },
      archiveDelay: { warning: 0, critical: 0 },
      disk: { warning: 100, critical: 100 },
    },
  });
  const running = await boot(instance);
  const sql = (...statements: string[]) => ask(instance, 'postgres', ...statements);

  // A forgotten prepared transaction, and whom it blocks: it has no session, and no process to end.
  await sql('CREATE TABLE t (i int)', 'INSERT INTO t VALUES (1)');
  await sql('BEGIN', 'UPDATE t SET i = 2', "PREPARE TRANSACTION 'it''s forgotten'");
  expect(await probe(instance, 'idle-in-transaction')).toMatchObject({
    status: 'critical',
    summary: expect.stringContaining("'it''s forgotten'") as string,
    hint: expect.stringContaining("ROLLBACK PREPARED 'it''s forgotten'") as string,
  });
  await waiting(instance, 'UPDATE t SET i = 3');
  await until(
    async () => (await sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).length === 1,
    () => running.words(),
  );
  expect(await probe(instance, 'blocked')).toMatchObject({
    status: 'critical',
    summary: expect.stringContaining("prepared transaction it's forgotten") as string,
    hint: expect.stringContaining('COMMIT PREPARED') as string,
  });
  await sql("ROLLBACK PREPARED 'it''s forgotten'");

  // A replica that is gone leaves its slot.
  expect((await probe(instance, 'slots')).status).toBe('ok');
  await sql("SELECT pg_create_physical_replication_slot('left_behind', true)");
  expect(await probe(instance, 'slots')).toMatchObject({ status: 'warning', summary: expect.stringContaining('left_behind') as string });
  await sql("SELECT pg_drop_replication_slot('left_behind')");

  // Segments that wait for an archiver that fails.
  await sql('SELECT pg_switch_wal()');
  await until(
    async () => (await sql('SELECT 1 FROM pg_stat_archiver WHERE failed_count > 0')).length === 1,
    () => running.words(),
  );
  expect(await probe(instance, 'wal')).toMatchObject({ status: 'critical', data: { archiving: true, archiveWaiting: 1 } });

  // Nobody may make a table, which is no full disk.
  await sql('DROP SCHEMA IF EXISTS dbkit CASCADE');
  await sql(
    "CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no new things here'; END $$",
    'CREATE EVENT TRIGGER forbid ON ddl_command_start EXECUTE FUNCTION forbid()',
  );
  expect((await probe(instance, 'write')).status).toBe('ok');
  await sql('DROP EVENT TRIGGER forbid');

  // A commit waits for a standby for ever: the answer comes in time all the same.
  await sql("ALTER SYSTEM SET synchronous_standby_names = 'gone'", 'SELECT pg_reload_conf()');
  await until(
    async () => (await sql('SHOW synchronous_standby_names'))[0]?.['synchronous_standby_names'] === 'gone',
    () => running.words(),
  );
  const begunMs = performance.now();
  expect(await probe(instance, 'write')).toMatchObject({ status: 'critical', summary: expect.stringContaining("'gone'") as string });
  expect(performance.now() - begunMs).toBeLessThan(30_000);
  await sql('ALTER SYSTEM RESET synchronous_standby_names', 'SELECT pg_reload_conf()');

  // Clients are let in over TLS only, as on most hosted servers.
  await encrypt(instance);
  await sql('ALTER SYSTEM SET ssl = on', 'SELECT pg_reload_conf()');
  await until(
    async () => (await sql('SHOW ssl'))[0]?.['ssl'] === 'on',
    () => running.words(),
  );
  expect(await probe(instance, 'authentication')).toMatchObject({ status: 'ok' });
  await running.stop();
});

/** The C library and ICU of a test's machine stay as they are, so the versions that the catalogs remember are changed instead. */
test.skipIf(programs!.major < 15)('health names every database whose text is sorted by other rules than its indexes', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const running = await boot(instance);
  const inApp = (...statements: string[]) => ask(instance, 'app', ...statements);
  await inApp(
    'CREATE SCHEMA words',
    "CREATE COLLATION words.mine (provider = icu, locale = 'de')",
    'CREATE TABLE t (v text COLLATE words.mine UNIQUE)',
  );
  expect(await probe(instance, 'collations')).toMatchObject({ status: 'ok', summary: 'text is sorted as when its indexes were built' });

  // A collation that one column of the application's bears, in a database that is not the first one that is asked.
  await inApp("UPDATE pg_collation SET collversion = '1' WHERE collname = 'mine'");
  expect(await probe(instance, 'collations')).toMatchObject({
    status: 'warning',
    summary: expect.stringContaining('the indexes of 1 database were built (app): mine was 1, is ') as string,
    hint: expect.stringContaining('ALTER COLLATION words.mine REFRESH VERSION') as string,
  });
  await inApp('ALTER COLLATION words.mine REFRESH VERSION');
  expect((await probe(instance, 'collations')).status).toBe('ok');

  // The collation of a whole database.
  await ask(instance, 'postgres', "UPDATE pg_database SET datcollversion = '1' WHERE datname = 'app'");
  expect(await probe(instance, 'collations')).toMatchObject({
    status: 'warning',
    summary: expect.stringContaining('(app): the collation was 1, is ') as string,
    hint: expect.stringContaining('ALTER DATABASE "app" REFRESH COLLATION VERSION') as string,
  });
  await running.stop();
});

test('a server that listens where its files say and waits for a standby that is gone: the start comes to its end, and it is asked there', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  await appendFile(join(instance.dataDir, 'postgresql.conf'), "listen_addresses = '127.0.0.9'\nsynchronous_standby_names = 'gone'\n");
  const env = { DATABASE_PASSWORD: 'another' }; // The role is given it at the start, whose commit nobody confirms.
  const running = await boot(instance, { env });
  expect(await probe(instance, 'authentication', { env })).toMatchObject({
    status: 'ok',
    summary: expect.stringContaining('127.0.0.9') as string,
  });
  await running.stop();
});

test('a pooler in the place of the server is called one, and is not a server that is down', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const { target } = await serverThat((socket) => socket.end(POOLER));
  const url = `postgresql://postgres@${target.socketDir}:${target.port}/postgres`;
  expect(await probe(instance, 'connection', { flags: ['--url', url] })).toMatchObject({
    status: 'unknown',
    summary: expect.stringContaining('PgBouncer') as string,
    hint: expect.stringContaining('PGPORT') as string,
  });
});
