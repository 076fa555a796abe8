import { appendFile, chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ConfigInput } from '../../src/config/config.ts';
import { probeNames } from '../../src/config/probe-names.ts';
import type { HealthReport, ProbeReport } from '../../src/health/health.ts';
import { account, isRoot, serverUser } from '../harness/as-user.ts';
import { ask } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { overwritePage, postmasterOf } from '../harness/breaking.ts';
import { boot, type Running, type RunOptions, run } from '../harness/dbkit.ts';
import { ownedBy } from '../harness/files.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { needsReachableProgram } from '../harness/permissions.ts';
import { freeze, until } from '../harness/processes.ts';
import { nightly } from '../harness/tier.ts';

const [programs] = installed;

interface Health extends HealthReport {
  readonly exit: number | null;
  readonly stderr: string;
  probe(name: string): ProbeReport;
}

/** `dbkit health --json`, as a person or a monitor would run it beside the server. */
async function health(instance: Instance, flags: readonly string[] = [], options?: RunOptions): Promise<Health> {
  const { code, stdout, stderr } = await run(instance, ['health', '--json', ...flags], options);
  const document = JSON.parse(stdout || '{}') as { ok?: boolean; report?: HealthReport };
  if (!document.report) throw new Error(`health reports nothing (status ${code}):\n${stdout}${stderr}`);
  const { report } = document;
  const probe = (name: string): ProbeReport => {
    const found = report.probes.find((each) => each.name === name);
    if (!found) throw new Error(`no probe ${name} was asked`);
    return found;
  };
  return { ...report, exit: code, stderr, probe };
}

/** However full this machine's disk may be. */
const roomy = { disk: { warning: 100, critical: 100 } };

/** A server of dbkit's, ready; `health` are the thresholds under test. */
async function serving(config: ConfigInput = {}, major = programs!): Promise<Instance & { readonly running: Running }> {
  const instance = await openInstance({ programs: major, from: 'template' });
  await configure(instance, { ...config, health: { ...roomy, ...config.health } });
  return { ...instance, running: await boot(instance) };
}

/** A client that stays until the test is over. */
async function client({ socketDir: host, port }: Instance, user = 'postgres'): Promise<pg.Client> {
  const session = new pg.Client({ host, port, user, database: 'app' });
  session.on('error', () => undefined);
  await session.connect();
  onTestFinished(() => session.end().catch(() => undefined));
  return session;
}

const statusOf = ({ probes }: HealthReport, status: string): string[] =>
  probes.filter((probe) => probe.status === status).map(({ name }) => name);

describe('a server that is well', () => {
  test.each(installed)('PostgreSQL $major: everything is asked, and the only complaint is that there is no backup yet', async (major) => {
    const instance = await serving({}, major);
    const seen = await health(instance);
    expect([...seen.probes.map(({ name }) => name), 'copies', 'migrations']).toEqual(probeNames); // Those two where they are configured.
    expect({
      exit: seen.exit,
      status: seen.status,
      unwell: seen.probes.filter(({ status }) => status !== 'ok').map(({ name }) => name),
    }).toEqual({
      exit: 0,
      status: 'warning',
      unwell: ['wal-archive', 'backups'], // The tests' servers keep none: skipped.
    });
    expect(seen.probe('backups')).toMatchObject({ summary: 'there is no backup', hint: '`dbkit backup create` takes one' });
    if (major !== programs) return; // What flags make of it is the same on each.
    expect((await health(instance, ['--strict'])).exit).toBe(1);
    expect((await health(instance, ['--strict', '--probe', 'connection', 'authentication', 'write'])).exit).toBe(0);
  });

  test('with a backup it is healthy, and asking again leaves one row', async () => {
    const instance = await serving();
    expect((await run(instance, ['maintenance', 'backup'])).code).toBe(0);
    const seen = await health(instance, ['--strict']);
    expect(seen).toMatchObject({ exit: 0, status: 'ok', stderr: '' });
    expect(seen.probe('backups').summary).toMatch(/^data_\d{8}_\d{6} is .+ old, (good|verified); none was proven by a restore$/);
    await health(instance, ['--probe', 'write']);
    expect(await ask(instance, 'postgres', 'SELECT count(*)::int FROM dbkit.health')).toEqual([{ count: 1 }]);
    expect(await ask(instance, 'app', "SELECT count(*)::int FROM pg_namespace WHERE nspname = 'dbkit'")).toEqual([{ count: 0 }]);
  });

  nightly('many checks at once do not get into each other’s way', async () => {
    const instance = await serving();
    const all = await Promise.all(Array.from({ length: 4 }, () => health(instance)));
    expect(all.map(({ exit }) => exit)).toEqual([0, 0, 0, 0]);
  });
});

describe('a server that is not there', () => {
  test('stopped: two findings, and the rest is not asked', async () => {
    const instance = await serving();
    await instance.running.stop();
    const seen = await health(instance);
    expect({ exit: seen.exit, critical: statusOf(seen, 'critical') }).toEqual({ exit: 2, critical: ['service', 'connection'] });
    expect(seen.probe('service').summary).toBe(`PostgreSQL does not run: there is no postmaster.pid in ${instance.dataDir}`);
    expect(seen.probe('connection').summary).toBe(`no server listens on port ${instance.port} in ${instance.socketDir}`);
    expect(seen.probe('connection').hint).toContain('dbkit up --detach');
    expect(seen.probe('data-directory')).toMatchObject({ status: 'ok', summary: 'shut down cleanly, nothing is wrong' });
    expect(seen.probe('latency')).toMatchObject({ status: 'skipped', summary: 'the server does not answer' });
  });

  nightly('stopped, and a file is gone: the inspection says which', async () => {
    const instance = await serving();
    await instance.running.stop();
    await rm(join(instance.dataDir, 'global/pg_filenode.map'));
    const seen = await health(instance, ['--probe', 'data-directory']);
    expect(seen).toMatchObject({ exit: 2, status: 'critical' });
    expect(seen.probe('data-directory').summary).toMatch(/^global\/pg_filenode\.map: /);
  });

  test('hung: said in time, with the pid and the way out', async () => {
    const instance = await serving({ health: { timeoutSeconds: 1 } });
    const postmaster = await postmasterOf(instance);
    await freeze(postmaster);
    try {
      const seen = await health(instance);
      expect({ exit: seen.exit, critical: statusOf(seen, 'critical') }).toEqual({ exit: 2, critical: ['service', 'connection'] });
      expect(seen.probe('service')).toMatchObject({
        summary: `the postmaster (pid ${postmaster}) was stopped by a signal`,
        hint: `\`kill -CONT ${postmaster}\` lets it go on`,
      });
      expect(seen.probe('connection').summary).toBe(
        `the server on port ${instance.port} is hung: it accepts connections and does not answer`,
      );
    } finally {
      process.kill(postmaster, 'SIGCONT');
    }
    expect((await health(instance)).exit).toBe(0);
  });

  nightly('one of its processes hung: named', async () => {
    const instance = await serving();
    const session = await client(instance);
    const { rows } = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const { pid } = rows[0]!;
    await freeze(pid);
    try {
      const seen = await health(instance);
      expect({ exit: seen.exit, critical: statusOf(seen, 'critical') }).toEqual({ exit: 2, critical: ['service'] });
      expect(seen.probe('service').summary).toMatch(
        new RegExp(`^1 of the server’s processes was stopped by a signal: pid ${pid} \\(postgres app`),
      );
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  test('--wait sees it come', async () => {
    const instance = await openInstance({ programs: programs!, from: 'template' });
    const waiting = run(instance, ['health', '--wait', '--probe', 'connection', 'authentication', '--json']);
    await boot(instance);
    expect((await waiting).code).toBe(0);
  });
});

describe('a server that lets not everybody in', () => {
  nightly('every connection is taken: the application is out, the superuser’s reserve still tells', async () => {
    const instance = await serving({
      postgresql: { settings: { max_connections: 5, superuser_reserved_connections: 3, max_wal_senders: 0 } },
    });
    const [first, second] = [await client(instance, 'app'), await client(instance, 'app')];
    const seen = await health(instance);
    expect({ exit: seen.exit, critical: statusOf(seen, 'critical') }).toEqual({ exit: 2, critical: ['authentication', 'connections'] });
    expect(seen.probe('authentication').summary).toMatch(/^app is not let in: .*(remaining connection slots|too many clients)/);
    expect(seen.probe('connections').summary).toMatch(/^[2-5] of 2 connections are taken/);
    await Promise.all([first.end(), second.end()]);
  });

  test('not even the superuser’s reserve is left', async () => {
    const instance = await serving({
      postgresql: { settings: { max_connections: 5, superuser_reserved_connections: 3, max_wal_senders: 0 } },
    });
    await Promise.all(Array.from({ length: 5 }, () => client(instance)));
    const seen = await health(instance);
    expect(seen.exit).toBe(2);
    expect(seen.probe('connection').summary).toMatch(
      /^every connection is taken, the superuser's reserve too: .*(too many clients|remaining connection slots)/,
    );
  });

  nightly('the role was dropped', async () => {
    const instance = await serving();
    await ask(
      instance,
      'app',
      'ALTER DATABASE app OWNER TO postgres',
      'REASSIGN OWNED BY app TO postgres',
      'DROP OWNED BY app',
      'DROP ROLE app',
    );
    const seen = await health(instance);
    expect({ exit: seen.exit, critical: statusOf(seen, 'critical') }).toEqual({ exit: 2, critical: ['authentication'] });
    expect(seen.probe('authentication').summary).toBe('the role app does not exist');
  });

  test('the password was changed, the role may not log in, the password has expired', async () => {
    const instance = await serving();
    const seenAfter = async (statement: string): Promise<ProbeReport> => {
      await ask(instance, 'postgres', statement);
      const seen = await health(instance);
      expect({ exit: seen.exit, critical: statusOf(seen, 'critical') }).toEqual({ exit: 2, critical: ['authentication'] });
      expect(JSON.stringify(seen)).not.toContain('secret');
      return seen.probe('authentication');
    };
    expect((await health(instance)).exit).toBe(0);
    expect((await seenAfter("ALTER ROLE app PASSWORD 'another'")).summary).toBe('the password of app is not the one in the configuration');
    expect(await seenAfter('ALTER ROLE app NOLOGIN')).toMatchObject({
      summary: 'the role app may not log in',
      hint: 'as the superuser: ALTER ROLE "app" LOGIN',
    });
    await ask(instance, 'postgres', "ALTER ROLE app LOGIN PASSWORD 'secret'");
    expect((await seenAfter("ALTER ROLE app VALID UNTIL '2020-01-01'")).summary).toMatch(/^the password of app expired \d+ d ago$/);
  });
});

describe('a server that works badly', () => {
  test('read-only: it answers, and refuses every commit', async () => {
    const instance = await serving();
    await ask(instance, 'postgres', 'ALTER SYSTEM SET default_transaction_read_only = on', 'SELECT pg_reload_conf()');
    await until(
      async () =>
        (await ask<{ on: string }>(instance, 'postgres', 'SELECT current_setting($$default_transaction_read_only$$) AS on'))[0]?.on ===
        'on',
      () => 'the setting does not arrive',
    );
    const seen = await health(instance);
    expect({ exit: seen.exit, critical: statusOf(seen, 'critical') }).toEqual({ exit: 2, critical: ['write'] });
    expect(seen.probe('write').summary).toBe('the server takes no writes: default_transaction_read_only is on');
  });

  nightly('a transaction was forgotten, and holds others up', async () => {
    const instance = await serving({
      health: {
        idleInTransaction: { warning: 0.1, critical: 3600 },
        blocked: { warning: 0.1, critical: 3600 },
        longQueries: { warning: 0.1 },
      },
    });
    const [holder, waiter] = [await client(instance), await client(instance)];
    await holder.query('BEGIN');
    await holder.query('LOCK TABLE ledger');
    const { rows } = await holder.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    void waiter.query('SELECT count(*) FROM ledger').catch(() => undefined);
    await until(
      async () =>
        (
          await ask(
            instance,
            'app',
            "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '0.2 s'",
          )
        ).length > 0,
      () => 'nobody waits',
    );
    const seen = await health(instance);
    expect({ exit: seen.exit, warnings: statusOf(seen, 'warning') }).toEqual({
      exit: 0,
      warnings: ['long-queries', 'idle-in-transaction', 'blocked', 'backups'],
    });
    const { pid } = rows[0]!;
    expect(seen.probe('idle-in-transaction').summary).toMatch(
      new RegExp(`^1 transaction idle longer than 100 ms; the longest since .+: pid ${pid} `),
    );
    expect(seen.probe('blocked').summary).toMatch(
      new RegExp(
        `^1 session blocked longer than 100 ms; pid \\d+ \\(postgres\\) since .+ by pid ${pid} \\(postgres, idle in transaction\\)$`,
      ),
    );
    expect(seen.probe('blocked').hint).toContain(`pg_terminate_backend(${pid})`);
    expect((await health(instance, ['--strict'])).exit).toBe(1);
  });

  nightly('the log speaks of corruption: told once and for a while, and what was there before is not forgotten', async () => {
    const instance = await serving({ health: { logRememberSeconds: 3600 } });
    const log = join(instance.logDir, 'postgresql.log');
    expect((await health(instance)).probe('log')).toMatchObject({ status: 'ok' });
    await appendFile(
      log,
      '2026-11-20 19:54:00.123 UTC [42] ERROR:  invalid page in block 3 of relation base/5/16384\nSTATEMENT:  No space left on device\n',
    );
    for (const look of ['first', 'second']) {
      const seen = await health(instance);
      expect({ look, exit: seen.exit, critical: statusOf(seen, 'critical') }).toEqual({ look, exit: 2, critical: ['log'] });
      expect(seen.probe('log').summary).toMatch(
        /^1 line in the log; a page is damaged: invalid page in block 3 of relation base\/5\/16384 \(noticed .+ ago\)$/,
      );
    }
    await rename(log, `${log}.1`);
    await writeFile(log, '2026-11-20 19:55:00.123 UTC [42] LOG:  nothing special\n');
    await ownedBy(log, serverUser);
    expect((await health(instance)).probe('log').summary).toMatch(/^1 line in the log/);
    await configure(instance, { health: { ...roomy, logRememberSeconds: 0 } });
    expect((await health(instance)).probe('log').status).toBe('ok');
    await rm(log);
    expect((await health(instance)).probe('log')).toMatchObject({
      status: 'skipped',
      summary: `there is no server log at ${log}; health.logFile may name another`,
    });
  });

  test('a page is damaged: what the start found, the server’s own count and its log all tell', async () => {
    const instance = await serving();
    await instance.running.stop();
    await overwritePage(instance, instance.places.archiveLedger, 1);
    await boot(instance);
    await expect(ask(instance, 'archive', 'SELECT count(*) FROM ledger')).rejects.toThrow('invalid page in block 1');
    await until(
      async () => (await ask(instance, 'postgres', 'SELECT FROM pg_stat_database WHERE checksum_failures > 0')).length > 0,
      () => 'the server does not count the failure',
    );
    const seen = await health(instance);
    expect({ exit: seen.exit, critical: statusOf(seen, 'critical') }).toEqual({ exit: 2, critical: ['damage', 'checksums', 'log'] });
    expect(seen.probe('checksums').summary).toMatch(/^\d+ pages? failed the checksum in archive, last at 20/);
    expect(seen.probe('log').summary).toMatch(
      /^\d+ lines? in the log; a page (is damaged: invalid page|fails its checksum: page verification failed)/,
    );
  });

  nightly('the archive takes nothing: WAL piles up', async () => {
    const instance = await serving({
      postgresql: { settings: { archive_mode: 'on', archive_command: 'false' } },
      health: { walGrowth: { warning: 0, critical: 1000 } },
    });
    await ask(instance, 'app', 'CREATE TABLE work (a int)', 'SELECT pg_switch_wal()');
    await until(
      async () => (await ask(instance, 'postgres', 'SELECT FROM pg_stat_archiver WHERE failed_count > 0')).length > 0,
      () => 'the archiver does not fail',
    );
    const seen = await health(instance);
    expect({ exit: seen.exit, warnings: statusOf(seen, 'warning') }).toEqual({ exit: 0, warnings: ['wal', 'backups'] });
    expect(seen.probe('wal')).toMatchObject({
      summary: expect.stringMatching(/^archiving of [0-9A-F]{24} fails, nothing was archived yet; pg_wal holds .+ of 1\.0 GiB$/),
      hint: 'the server log says what archive_command answers',
    });
  });

  nightly('a volume that will be full within the hour, as it grows', async () => {
    const instance = await serving();
    const [{ path, usedBytes, freeBytes }] = (await health(instance, ['--probe', 'disk'])).probe('disk').data as [
      { path: string; usedBytes: number; freeBytes: number },
    ];
    const now = Date.now();
    const samples = [60, 50, 40, 30, 20, 10].map((minutes) => ({
      atMs: now - minutes * 60_000,
      usedBytes: Math.round(usedBytes - (freeBytes * minutes) / 45),
    }));
    await writeFile(join(instance.stateDir, 'health-disk.json'), JSON.stringify({ [path]: samples }));
    const seen = await health(instance, ['--probe', 'disk']);
    expect(seen).toMatchObject({ exit: 0, status: 'warning' });
    expect(seen.probe('disk').summary).toMatch(/ full, .+ free, full in \d+ (min|s) at this rate$/);
  });

  nightly('what a probe keeps is torn: it begins anew', async () => {
    const instance = await serving();
    await health(instance);
    for (const name of ['health-log.json', 'health-disk.json']) await writeFile(join(instance.stateDir, name), '{"torn');
    expect((await health(instance)).exit).toBe(0);
  });

  test('a volume is full', async () => {
    const instance = await serving({ health: { disk: { warning: 0, critical: 0 } } });
    const seen = await health(instance);
    expect({ exit: seen.exit, critical: statusOf(seen, 'critical') }).toEqual({ exit: 2, critical: ['disk'] });
    expect(seen.probe('disk').summary).toMatch(/data, WAL, backups: \d+ % full, .+ free/);
    await configure(instance, { health: { disk: { warning: 0, critical: 100 } } });
    expect(await health(instance, ['--probe', 'disk'])).toMatchObject({ exit: 0, status: 'warning' });
  });

  test('a file that the next start needs is gone under the running server', async () => {
    const instance = await serving();
    await rm(join(instance.dataDir, 'pg_ident.conf'));
    await rm(join(instance.dataDir, 'pg_twophase'), { recursive: true });
    const seen = await health(instance);
    expect({ exit: seen.exit, critical: statusOf(seen, 'critical') }).toEqual({ exit: 2, critical: ['data-directory'] });
    expect(seen.probe('data-directory').summary).toBe('pg_twophase: the directory is missing, and 1 finding more');
  });
});

describe('a database whose folder is not whole', () => {
  nightly('while it is being created that is no illness; once the server lists it, it is', async () => {
    const instance = await serving();
    const folder = join(instance.dataDir, 'base/99999');
    await mkdir(folder, { mode: 0o700 });
    await ownedBy(folder, serverUser);
    expect((await health(instance)).probe('data-directory')).toMatchObject({ status: 'ok', summary: 'what the server needs is there' });
    await rm(join(instance.dataDir, instance.places.archive, 'PG_VERSION'));
    const seen = await health(instance);
    expect({ exit: seen.exit, critical: statusOf(seen, 'critical') }).toEqual({ exit: 2, critical: ['data-directory'] });
    expect(seen.probe('data-directory').summary).toBe(`${instance.places.archive}/PG_VERSION: the file is missing`);
    await rm(join(instance.dataDir, instance.places.archive), { recursive: true });
    expect((await health(instance)).probe('data-directory')).toMatchObject({
      status: 'critical',
      summary: `${instance.places.archive}: the directory is missing`,
    });
  });
});

describe('a server that follows another', () => {
  test('a standby without its primary: nothing is written there, and that it follows nobody is told', async () => {
    const instance = await serving();
    await instance.running.stop();
    await appendFile(join(instance.dataDir, 'postgresql.auto.conf'), "primary_conninfo = 'host=/nowhere'\n");
    await writeFile(join(instance.dataDir, 'standby.signal'), '');
    await ownedBy(join(instance.dataDir, 'standby.signal'), serverUser);
    await boot(instance);
    const seen = await health(instance, ['--strict']);
    expect({ exit: seen.exit, warnings: statusOf(seen, 'warning'), skipped: statusOf(seen, 'skipped') }).toEqual({
      exit: 1,
      warnings: ['replication', 'backups'],
      skipped: ['write', 'wal-archive'],
    });
    expect(seen.probe('write').summary).toBe('this is a standby: it does not take writes');
    expect(seen.probe('connection').summary).toMatch(/ answers on port \d+, a standby$/);
    expect(seen.probe('replication').summary).toMatch(/^a standby, .+, without a connection to its primary$/);
  });

  nightly('a configuration elsewhere, as Debian has it: its files are not missed, and its log is found', async () => {
    const instance = await openInstance({ programs: programs!, from: 'template' });
    const home = join(instance.root, 'etc/15/main');
    await mkdir(home, { recursive: true });
    for (const name of ['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf']) await rename(join(instance.dataDir, name), join(home, name));
    await appendFile(join(home, 'postgresql.conf'), `hba_file = '${home}/pg_hba.conf'\nident_file = '${home}/pg_ident.conf'\n`);
    await writeFile(join(home, 'log'), '2026-11-20 19:54:00.123 UTC [42] PANIC:  could not write to file\n');
    const settings = { config_file: join(home, 'postgresql.conf'), data_directory: instance.dataDir, listen_addresses: 'localhost' };
    const server = await startBare(instance.programs, instance.dataDir, { ...instance, settings });
    expect(server.up, server.words()).toBe(true);
    const seen = await health(instance);
    expect({ exit: seen.exit, critical: statusOf(seen, 'critical') }).toEqual({ exit: 2, critical: ['authentication', 'log'] });
    expect(seen.probe('log').summary).toMatch(/^1 line in the log; the server gave up: could not write to file/);
    expect(seen.probe('authentication').summary).toBe('the role app does not exist');
    await server.stop();
    expect((await health(instance)).probe('data-directory')).toMatchObject({ status: 'ok' });
  });
});

describe('questions of the user’s own', () => {
  nightly('migrations that are not there, and probes that say every status', async () => {
    const instance = await serving({
      health: {
        migrations: "SELECT to_regclass('schema_migrations') IS NOT NULL",
        probes: {
          fine: { sql: 'SELECT true' },
          soft: { sql: 'SELECT false', failure: 'warning' },
          spoken: { sql: "SELECT 'warning', '7 jobs wait'" },
          twice: { sql: "SET LOCAL work_mem = '1MB'; SELECT true, 'the last one counts'" },
          invalid: { sql: 'SELECT nonsense FROM nowhere' },
          writing: { sql: 'CREATE TABLE mine (a int)' },
          slow: { sql: 'SELECT true FROM pg_sleep(60)', timeoutSeconds: 0.2 },
          plugin: { command: ['sh', '-c', 'echo "queue is long | queue=7"; exit 1'] },
          absent: { command: ['/nowhere/check_it'] },
          hung: { command: ['sleep', '60'], timeoutSeconds: 0.2 },
        },
      },
    });
    const seen = await health(instance);
    expect(seen.exit).toBe(2);
    const told = Object.fromEntries(seen.probes.slice(-11).map(({ name, status, summary }) => [name, `${status}: ${summary}`]));
    expect(told).toEqual({
      migrations: 'critical: the schema is not what the code expects (health.migrations answers false)',
      fine: 'ok: true',
      soft: 'warning: answers false',
      spoken: 'warning: 7 jobs wait',
      twice: 'ok: the last one counts',
      invalid: 'unknown: the SQL fails: relation "nowhere" does not exist',
      writing: 'unknown: the SQL fails: cannot execute CREATE TABLE in a read-only transaction',
      slow: 'unknown: the SQL fails: canceling statement due to statement timeout',
      plugin: 'warning: queue is long',
      absent: "unknown: there is no program '/nowhere/check_it'",
      hung: expect.stringMatching(/^unknown: .*timed out/),
    });
    expect((await health(instance, ['--probe', 'invalid'])).exit).toBe(3);
  });
});

describe('who may not see everything', () => {
  test.skipIf(!isRoot || needsReachableProgram() !== undefined)(
    'another user: what he may not look into is skipped, and he is told',
    async () => {
      const instance = await serving();
      await chmod(join(instance.logDir, 'postgresql.log'), 0o600);
      await chmod(instance.backupDir, 0o700);
      const nobody = account('nobody')!;
      const seen = await health(instance, [], { as: nobody });
      expect({ exit: seen.exit, status: seen.status, skipped: statusOf(seen, 'skipped') }).toEqual({
        exit: 0,
        status: 'ok',
        skipped: ['service', 'data-directory', 'damage', 'wal-archive', 'log', 'backups'],
      });
      expect(seen.probe('data-directory').summary).toBe(`this user may not read ${instance.dataDir}`);
      expect((await health(instance, ['--probe', 'service'], { as: nobody })).exit).toBe(3);
    },
  );

  test('no superuser: the application’s role asks what it may', async () => {
    const instance = await serving();
    await writeFile(join(instance.dataDir, 'pg_hba.conf'), 'local all postgres scram-sha-256\nhost all all all scram-sha-256\n');
    await ask(instance, 'postgres', 'SELECT pg_reload_conf()');
    await until(
      () =>
        ask(instance, 'postgres', 'SELECT 1').then(
          () => false,
          () => true,
        ),
      () => 'the superuser is still let in',
    );
    const seen = await health(instance);
    expect({ exit: seen.exit, critical: statusOf(seen, 'critical'), skipped: statusOf(seen, 'skipped') }).toEqual({
      exit: 0,
      critical: [],
      skipped: ['connection', 'write', 'long-queries', 'idle-in-transaction', 'blocked', 'wal-archive'],
    });
    expect(seen.probe('connection').summary).toMatch(
      /^this user is not let in as postgres \(.+\); the application's role is asked instead$/,
    );
    expect(seen.probe('connections').status).toBe('ok');
  });
});
