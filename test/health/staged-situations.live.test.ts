import { appendFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import type { ConfigInput } from '../../src/config/config.ts';
import type { HealthReport } from '../../src/health/health.ts';
import type { MonitorCheck } from '../../src/monitor/check.ts';
import { ask } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { crash, overwritePage, postmasterOf, write } from '../harness/breaking.ts';
import { boot, type Running, run, start } from '../harness/dbkit.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { fillSpace, mountVolume, needsMounts, readOnlyBelow } from '../harness/mount.ts';
import { freeze, until } from '../harness/processes.ts';
import { isLongTier } from '../harness/tier.ts';

const [programs] = installed;

/** What is staged, what health must say then, and what the monitor must make of it. The names stand in docs/HEALTH.md. */
interface Situation {
  readonly name: string;
  /** Only with `npm run test:long`: health.live.test.ts stages the same for health, or monitor.live.test.ts for the monitor. */
  readonly longTier?: boolean;
  readonly config?: ConfigInput;
  readonly needs?: () => string | undefined;
  readonly major?: (typeof installed)[number] | undefined;
  /** Before the server starts. */
  prepare?(instance: Instance): Promise<unknown>;
  /** While it runs; what it resolves to is undone afterwards. */
  stage(instance: Instance, running: Running): Promise<unknown>;
  /** `dbkit health`'s exit status. */
  readonly exit: number;
  readonly critical?: readonly string[];
  readonly warnings?: readonly string[];
  /** A probe's summary. */
  readonly says: readonly (readonly [probe: string, words: RegExp])[];
  readonly verdict: MonitorCheck['verdict'];
  readonly action: MonitorCheck['action'];
  readonly because?: RegExp;
}

const sql = (instance: Instance, ...statements: string[]): Promise<unknown> => ask(instance, 'postgres', ...statements);
/** As the server itself says it, once the reload has arrived. */
async function setting(instance: Instance, name: string, value: string): Promise<void> {
  await sql(instance, `ALTER SYSTEM SET ${name} = '${value}'`, 'SELECT pg_reload_conf()');
  await until(
    async () => (await ask<{ now: string }>(instance, 'postgres', `SELECT current_setting('${name}') AS now`))[0]?.now === value,
    () => `${name} does not arrive`,
  );
}
async function client({ socketDir: host, port }: Instance, user = 'postgres', database = 'app'): Promise<pg.Client> {
  const session = new pg.Client({ host, port, user, database });
  session.on('error', () => undefined);
  await session.connect();
  onTestFinished(() => session.end().catch(() => undefined));
  return session;
}
async function stopped(pid: number): Promise<void> {
  await freeze(pid);
  onTestFinished(() => void goOn(pid));
}
function goOn(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT');
  } catch {
    // Gone already.
  }
}
const few: ConfigInput = { postgresql: { settings: { max_connections: 5, superuser_reserved_connections: 3, max_wal_senders: 0 } } };
const withLoginTriggers = installed.find(({ major }) => major >= 17);

const situations: readonly Situation[] = [
  {
    name: 'all is well',
    stage: async () => undefined,
    exit: 0,
    says: [
      ['service', /^runs as pid \d+, with \d+ children$/],
      ['write', /^a commit takes /],
    ],
    verdict: 'well',
    action: 'none',
  },
  {
    longTier: true,
    name: 'stopped cleanly by somebody',
    stage: (_, running) => running.stop(),
    exit: 2,
    critical: ['service', 'connection'],
    says: [
      ['service', /^PostgreSQL does not run: there is no postmaster\.pid/],
      ['connection', /^no server listens on port \d+ in /],
      ['data-directory', /^shut down cleanly, nothing is wrong$/],
    ],
    verdict: 'failed',
    action: 'count',
  },
  {
    longTier: true,
    name: 'killed with its supervisor',
    stage: crash,
    exit: 2,
    critical: ['service', 'connection'],
    says: [
      ['service', /^PostgreSQL does not run: its postmaster\.pid names process \d+, which is gone$/],
      ['data-directory', /^not shut down cleanly; it replays its WAL$/],
    ],
    verdict: 'failed',
    action: 'count',
  },
  {
    longTier: true,
    name: 'killed, and its pid is another program’s by now',
    stage: async (instance, running) => {
      await crash(instance, running);
      await write(
        instance,
        'postmaster.pid',
        `${process.pid}\n${instance.dataDir}\n1\n${instance.port}\n${instance.socketDir}\n\n\nready\n`,
      );
    },
    exit: 2,
    critical: ['service', 'connection'],
    says: [['service', new RegExp(`^PostgreSQL does not run: its postmaster\\.pid names process ${process.pid}, which is gone$`)]],
    verdict: 'failed',
    action: 'count',
  },
  {
    longTier: true,
    name: 'hung: the postmaster was stopped by a signal',
    config: { health: { timeoutSeconds: 1 } },
    stage: async (instance) => stopped(await postmasterOf(instance)),
    exit: 2,
    critical: ['service', 'connection'],
    says: [
      ['service', /^the postmaster \(pid \d+\) was stopped by a signal$/],
      ['connection', /is hung: it accepts connections and does not answer$/],
    ],
    verdict: 'failed',
    action: 'count',
  },
  {
    longTier: true,
    name: 'refusing: the application finds no free connection',
    config: few,
    stage: async (instance) => [await client(instance, 'app'), await client(instance, 'app')],
    exit: 2,
    critical: ['authentication', 'connections'],
    says: [
      ['authentication', /^app is not let in: /],
      ['connections', /^[2-5] of 2 connections are taken/],
    ],
    verdict: 'unwell',
    action: 'none',
  },
  {
    longTier: true,
    name: 'refusing: nobody finds a free connection',
    config: few,
    stage: (instance) => Promise.all(Array.from({ length: 5 }, () => client(instance))),
    exit: 2,
    critical: ['connection', 'authentication'],
    says: [['connection', /^every connection is taken, the superuser's reserve too: /]],
    verdict: 'unwell',
    action: 'none',
  },
  {
    longTier: true,
    name: 'slow: a login trigger sleeps (PostgreSQL 17 and newer)',
    major: withLoginTriggers,
    needs: () => (withLoginTriggers ? undefined : 'no PostgreSQL with login triggers is installed'),
    stage: (instance) =>
      ask(
        instance,
        'app',
        `CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1.5); END $$`,
        'CREATE EVENT TRIGGER slow ON login EXECUTE FUNCTION slow()',
        'ALTER EVENT TRIGGER slow ENABLE ALWAYS',
      ),
    exit: 0,
    warnings: ['authentication', 'backups'],
    says: [['authentication', /^app logs in to app on localhost:\d+, which takes 1\.\d s$/]],
    verdict: 'well',
    action: 'none',
  },
  {
    longTier: true,
    name: 'a slow night: every login takes longer than a probe waits',
    config: { health: { timeoutSeconds: 1 }, monitor: { maxFailures: 1 } },
    stage: (instance) => sql(instance, "ALTER SYSTEM SET post_auth_delay = '2s'", 'SELECT pg_reload_conf()', 'SELECT pg_sleep(0.3)'),
    exit: 2,
    critical: ['connection'],
    says: [['connection', /is hung: it accepts connections and does not answer$/]],
    verdict: 'unwell',
    action: 'none',
    because: /would not mend that/,
  },
  {
    longTier: true,
    name: 'read-only: default_transaction_read_only',
    stage: (instance) => setting(instance, 'default_transaction_read_only', 'on'),
    exit: 2,
    critical: ['write'],
    says: [['write', /^the server takes no writes: default_transaction_read_only is on$/]],
    verdict: 'unwell',
    action: 'none',
  },
  {
    longTier: true,
    name: 'read-only: the volume',
    needs: needsMounts,
    stage: (instance) => readOnlyBelow(instance, 'base'),
    exit: 2,
    critical: ['connection', 'authentication'],
    says: [['connection', /volume is read-only: .*Read-only file system$/]],
    verdict: 'unwell',
    action: 'none',
  },
  {
    name: 'the disk is full',
    needs: needsMounts,
    config: {
      postgresql: { settings: { autovacuum: 'off' } }, // A worker that truncates a table a minute after the start makes room for a commit.
      health: { disk: { warning: 80, critical: 90 } },
    },
    prepare: (instance) => mountVolume(instance, 'size=300m'),
    stage: (instance) => fillSpace(instance),
    exit: 2,
    critical: ['write', 'disk'],
    says: [
      ['write', /^no commit is possible: the disk is full$/],
      ['disk', /data, WAL: 100 % full, .+ free/],
    ],
    verdict: 'unwell',
    action: 'none',
  },
  {
    longTier: true,
    name: 'the disk with dbkit’s own state is full',
    needs: needsMounts,
    config: { health: { disk: { warning: 80, critical: 90 } } },
    prepare: (instance) => mountVolume(instance, 'size=8m', instance.stateDir),
    stage: async (instance) => {
      await run(instance, ['monitor', '--once']);
      await fillSpace(instance, instance.stateDir);
      await writeFile(join(instance.stateDir, 'last-block'), Buffer.alloc(4096));
      await appendFile(join(instance.logDir, 'postgresql.log'), 'something new to remember\n');
    },
    exit: 0,
    says: [['service', /^runs as pid \d+/]],
    verdict: 'well',
    action: 'none',
  },
  {
    longTier: true,
    name: 'the application’s role was dropped',
    stage: (instance) =>
      ask(
        instance,
        'app',
        'ALTER DATABASE app OWNER TO postgres',
        'REASSIGN OWNED BY app TO postgres',
        'DROP OWNED BY app',
        'DROP ROLE app',
      ),
    exit: 2,
    critical: ['authentication'],
    says: [['authentication', /^the role app does not exist$/]],
    verdict: 'unwell',
    action: 'none',
  },
  {
    longTier: true,
    name: 'the application’s password was changed',
    stage: (instance) => sql(instance, "ALTER ROLE app PASSWORD 'another'"),
    exit: 2,
    critical: ['authentication'],
    says: [['authentication', /^the password of app is not the one in the configuration$/]],
    verdict: 'unwell',
    action: 'none',
  },
  {
    name: 'the application’s database was dropped',
    stage: (instance) => sql(instance, 'DROP DATABASE app'),
    exit: 2,
    critical: ['authentication'],
    says: [['authentication', /^the database app does not exist$/]],
    verdict: 'unwell',
    action: 'none',
  },
  {
    longTier: true,
    name: 'pg_hba.conf has no line for the application',
    stage: async (instance) => {
      await write(instance, 'pg_hba.conf', 'local all postgres trust\n');
      await sql(instance, 'SELECT pg_reload_conf()', 'SELECT pg_sleep(0.3)');
    },
    exit: 2,
    critical: ['authentication'],
    says: [['authentication', /^pg_hba\.conf has no line that lets app in on localhost:\d+$/]],
    verdict: 'unwell',
    action: 'none',
  },
  {
    longTier: true,
    name: 'the log was deleted',
    stage: async (instance) => {
      await run(instance, ['health']);
      await rm(join(instance.logDir, 'postgresql.log'));
    },
    exit: 0,
    says: [['log', /^there is no server log at .*postgresql\.log; health\.logFile may name another$/]],
    verdict: 'well',
    action: 'none',
  },
  {
    longTier: true,
    name: 'the log was rotated, and speaks of corruption',
    stage: async (instance) => {
      await run(instance, ['health']);
      const log = join(instance.logDir, 'postgresql.log');
      await rename(log, `${log}.1`);
      await writeFile(log, '2026-11-20 19:54:00.123 UTC [42] PANIC:  could not write to file\n', { mode: 0o644 });
    },
    exit: 2,
    critical: ['log'],
    says: [['log', /^1 line in the log; the server gave up: could not write to file/]],
    verdict: 'unwell',
    action: 'none',
  },
  {
    longTier: true,
    name: 'every state file is torn',
    stage: async (instance) => {
      await run(instance, ['health']);
      await run(instance, ['monitor', '--once']);
      for (const name of ['health-log.json', 'health-disk.json', 'monitor.json', 'monitor-samples.json', 'alerts.json', 'status.json'])
        await writeFile(join(instance.stateDir, name), '{"torn');
    },
    exit: 0,
    says: [['service', /^runs as pid \d+/]],
    verdict: 'well',
    action: 'none',
  },
  {
    longTier: true,
    name: 'a page of a table is damaged',
    prepare: (instance) => overwritePage(instance, instance.places.archiveLedger, 1),
    stage: async (instance) => {
      await expect(ask(instance, 'archive', 'SELECT count(*) FROM ledger')).rejects.toThrow('invalid page in block 1');
      await until(
        async () => (await ask(instance, 'postgres', 'SELECT FROM pg_stat_database WHERE checksum_failures > 0')).length > 0,
        () => 'the server does not count the failure',
      );
    },
    exit: 2,
    critical: ['checksums', 'log'],
    says: [['checksums', /^\d+ pages? failed the checksum in archive/]],
    verdict: 'unwell',
    action: 'none',
  },
  {
    longTier: true,
    name: 'a file that the next start needs is gone',
    stage: (instance) => rm(join(instance.dataDir, 'pg_twophase'), { recursive: true }),
    exit: 2,
    critical: ['data-directory'],
    says: [['data-directory', /^pg_twophase: the directory is missing$/]],
    verdict: 'failed',
    action: 'count',
  },
  {
    longTier: true,
    name: 'it is stopping, and waits for a client',
    stage: async (instance) => {
      await client(instance);
      process.kill(await postmasterOf(instance), 'SIGTERM');
      await until(
        async () => (await run(instance, ['health', '--probe', 'connection'])).code === 2,
        () => 'the server goes on',
      );
    },
    exit: 2,
    critical: ['service', 'connection'],
    says: [['connection', /^the server is not ready: the database system is shutting down$/]],
    verdict: 'waiting',
    action: 'none',
  },
  {
    longTier: true,
    name: 'a long recovery: it replays its WAL',
    config: { monitor: { maxFailures: 1 } },
    stage: async (instance, running) => {
      await running.stop();
      await write(instance, 'recovery.signal', '');
      const settings = { restore_command: 'sleep 20; false' }; // PostgreSQL asks for each segment, and takes its time.
      void startBare(instance.programs, instance.dataDir, { ...instance, settings });
      await until(
        async () => (await run(instance, ['health', '--probe', 'connection', '--json'])).stdout.includes('is starting up'),
        () => 'it does not begin to start',
      );
    },
    exit: 2,
    critical: ['service', 'connection'],
    says: [
      ['service', /^PostgreSQL is starting \(pid \d+\)$/],
      ['connection', /^the server is not ready: the database system is starting up$/],
    ],
    verdict: 'waiting',
    action: 'none',
    because: /which may take long$/,
  },
  {
    longTier: true,
    name: 'a planned stop: dbkit down --for 30m',
    stage: async (instance) => {
      await run(instance, ['monitor', '--once']);
      expect((await run(instance, ['down', '--for', '30m'])).code).toBe(0);
    },
    exit: 2,
    critical: ['service', 'connection'],
    says: [['data-directory', /^shut down cleanly, nothing is wrong$/]],
    verdict: 'failed',
    action: 'none',
    because: /^a person wants it left alone for now$/,
  },
  {
    longTier: true,
    name: 'a backup is running',
    stage: async (instance) => {
      const backup = start(instance, ['backup', 'create', '--rate-limit', '2MB']);
      await until(
        async () =>
          (await ask(instance, 'postgres', "SELECT FROM pg_stat_activity WHERE query ~ 'pg_(backup_start|start_backup)'")).length > 0,
        () => backup.words(),
      );
    },
    exit: 0,
    says: [['connection', /^PostgreSQL .* answers on port/]],
    verdict: 'well',
    action: 'none',
  },
];

test.each(situations.filter(({ longTier }) => isLongTier || !longTier))('$name', async (situation) => {
  const {
    config = {},
    major = programs!,
    needs,
    prepare,
    stage,
    exit,
    critical = [],
    warnings,
    says,
    verdict,
    action,
    because,
  } = situation;
  const missing = needs?.();
  if (missing) return void expect(missing, 'said, and skipped').toBeTruthy();
  const instance = await openInstance({ programs: major, from: 'template' });
  const roomy = { disk: { warning: 100, critical: 100 } }; // However full this machine's disk may be.
  await configure(instance, { ...config, health: { ...roomy, ...config.health }, monitor: { maxFailures: 9, ...config.monitor } });
  await prepare?.(instance);
  await stage(instance, await boot(instance));

  const asked = await run(instance, ['health', '--json']);
  const { report } = JSON.parse(asked.stdout) as { report: HealthReport };
  const named = (status: string): string[] => report.probes.filter((probe) => probe.status === status).map(({ name }) => name);
  const told = JSON.stringify(report.probes, null, 1);
  expect({ exit: asked.code, critical: named('critical'), unknown: named('unknown') }, told).toEqual({ exit, critical, unknown: [] });
  if (warnings) expect(named('warning'), told).toEqual(warnings);
  for (const [probe, words] of says) expect(report.probes.find(({ name }) => name === probe)?.summary).toMatch(words);
  for (const probe of report.probes) if (probe.status === 'critical') expect(probe.hint, `${probe.name} says what to do`).toBeTruthy();

  const once = JSON.parse((await run(instance, ['monitor', '--once', '--json'])).stdout) as { report: MonitorCheck };
  expect(once.report, told).toMatchObject({ verdict, action, recovery: null });
  if (because) expect(once.report.because).toMatch(because);
});
