import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askNumber } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { program } from '../harness/dbkit.ts';
import { freePort } from '../harness/ports.ts';
import { until } from '../harness/processes.ts';
import { missing } from './lab.ts';

const FIRST_PORT = 11_800; // Below those that other tests take (test/harness/ports.ts).
const LONG = { timeout: 600_000 };

/** Asks again until the answer is as it must become. */
async function untilSaid<T extends object>(ask: () => T, isSo: (said: T) => boolean): Promise<T> {
  let said = ask();
  await until(
    () => {
      if (isSo(said)) return true;
      said = ask();
      return isSo(said);
    },
    () => JSON.stringify(said),
  );
  return said;
}

interface Said {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
  readonly report: Record<string, never> & {
    readonly done?: boolean;
    readonly resumed?: boolean;
    readonly plan?: { readonly label: string };
    readonly aside?: readonly { readonly member: string; readonly path: string }[];
    readonly first?: string;
    readonly proof?: { readonly leader: string; readonly streaming: readonly string[]; readonly timeline: number; readonly rows: object };
  };
  readonly failure?: { readonly code: string; readonly message: string };
}

describe.skipIf(missing.length > 0)('a whole cluster comes back', () => {
  let base: string;
  let folder: string;
  let password: string;
  let label: string;
  let before: string;
  beforeAll(() => {
    base = mkdtempSync('/tmp/dbkit-re-'); // Short: a path of a socket has 107 bytes.
    chmodSync(base, 0o755);
  });
  afterAll(() => {
    ha(['down']);
    rmSync(base, { recursive: true, force: true });
  });

  const dbkit = (words: readonly string[], env: Readonly<Record<string, string>>): Said => {
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, [program, ...words, '--json', '--yes'], {
      cwd: base,
      env: { PATH: process.env['PATH'], TZ: 'UTC', ...env },
      encoding: 'utf8',
    });
    const document = stdout === '' ? {} : (JSON.parse(stdout) as object);
    return { status, signal, stderr, report: {} as Said['report'], ...document };
  };
  const ha = (words: readonly string[], env: Readonly<Record<string, string>> = {}): Said =>
    dbkit(['--local', join(base, 'd'), 'ha', ...words], env);
  const sql = (text: string): string => {
    const { stdout, stderr, status } = spawnSync(
      'psql',
      ['-XAtqc', text, `host=127.0.0.1 port=${FIRST_PORT + 5} user=postgres dbname=postgres`],
      {
        env: { PATH: process.env['PATH'], PGPASSWORD: password },
        encoding: 'utf8',
      },
    );
    if (status !== 0) throw new Error(stderr);
    return stdout.trim();
  };
  const rows = (): string => sql('select count(*), max(id) from ledger');
  const insert = (from: number, to: number): string => sql(`insert into ledger select g from generate_series(${from}, ${to}) g`);
  /** As a timer on the machine of a member has it: its configuration names the cluster. */
  const onMachineOf = (name: string, words: readonly string[]): Said => {
    const asUser = process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--'] : [];
    const [file, ...rest] = [...asUser, process.execPath, program, ...words, '--json', '--yes'];
    const own = { PGDATA: join(folder, name), DBKIT_CONFIG: join(folder, `${name}.json`), POSTGRES_PASSWORD: password };
    const { status, signal, stdout, stderr } = spawnSync(file!, rest, {
      ...{ cwd: folder, encoding: 'utf8', env: { PATH: process.env['PATH'], TZ: 'UTC', HOME: folder, ...own } },
    });
    return { status, signal, stderr, report: {}, ...(JSON.parse(stdout) as object) };
  };

  test('to a second before a mistake, though dbkit is killed half-way', LONG, async () => {
    const up = ha(['up', '--first-port', String(FIRST_PORT)]);
    expect(up.status, up.stderr).toBe(0);
    folder = join(base, readdirSync(base, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('ha-local'))!);
    password = (JSON.parse(readFileSync(join(folder, 'cluster.json'), 'utf8')) as { password: string }).password;
    sql('create table ledger (id int primary key, at timestamptz default clock_timestamp())');
    insert(1, 1000);
    const status = ha(['status']).report as unknown as { members: { name: string; role: string }[] };
    const replica = status.members.find(({ role }) => role !== 'leader')!.name;
    const leader = status.members.find(({ role }) => role === 'leader')!.name;
    const probed = (name: string): string => {
      const { probes } = onMachineOf(name, ['health', '--probe', 'replication']).report as unknown as { probes: { summary: string }[] };
      return probes[0]!.summary;
    };
    expect(probed(replica)).toMatch(new RegExp(`^a standby of 127\\.0\\.0\\.1:\\d+ on timeline 1, .*; ${leader} leads$`));
    expect(probed(leader)).toMatch(/^2 replicas \((n\d, )?n\d synchronous\); /);
    const timers = ['n1', 'n2', 'n3'].map((name) => ({ name, ...onMachineOf(name, ['backup', 'create', '--if-carrier', '--if-changed']) }));
    const reports = timers.map(({ name, report, stderr }) => ({
      ...(report as unknown as { backup: { label: string } | null; carrier: { member: string; reason: string } }),
      ...{ name, stderr },
    }));
    const [taken, ...more] = reports.filter(({ backup }) => backup !== null);
    expect(more, JSON.stringify(reports)).toEqual([]);
    expect(taken!.name, 'a replica').not.toBe(leader);
    expect(new Set(reports.map(({ carrier }) => carrier.member))).toEqual(new Set([taken!.name]));
    expect(timers.map(({ status: answer }) => answer)).toEqual([0, 0, 0]);
    label = taken!.backup!.label;
    insert(1001, 1500);
    before = sql('select clock_timestamp()');
    insert(1501, 2000);

    const planned = ha(['restore', '--to', before, '--dry-run']);
    expect(planned, planned.stderr).toMatchObject({ status: 0, report: { done: false, plan: { label } } });
    expect(rows()).toBe('2000|2000');
    const killed = ha(['restore', '--to', before], { DBKIT_FAIL_AT: 'cluster-restore.set-aside' });
    expect(killed, killed.stderr).toMatchObject({ signal: 'SIGKILL' });
    expect(ha(['up', '--first-port', String(FIRST_PORT)])).toMatchObject({ failure: { code: 'recovery.refused' } });
    expect(ha(['restore', label])).toMatchObject({ failure: { message: expect.stringContaining('is not finished') } });
    const restored = ha(['restore']);
    expect(restored.status, restored.stderr + JSON.stringify(restored.failure)).toBe(0);
    expect(restored.report).toMatchObject({ done: true, resumed: true, proof: { rows: { rows: 1500 } } });
    expect(restored.report.proof!.streaming).toHaveLength(2);
    expect(rows()).toBe('1500|1500');
    expect(sql(`select count(*) from ledger where at > '${before}'`)).toBe('0');
    expect(existsSync(join(folder, 'restore.json'))).toBe(false);
    // A busy machine looks late now and then.
    await untilSaid(
      () => ha(['check']),
      ({ status: answer }) => answer === 0,
    );
    await expectSetAside(restored, 2000);
  });

  test('to a backup after a total outage, though dbkit is killed while the first member is made', LONG, async () => {
    insert(1501, 1600);
    const { processes } = JSON.parse(readFileSync(join(folder, 'cluster.json'), 'utf8')) as { processes: { name: string; pid: number }[] };
    for (const { pid } of processes) process.kill(pid, 'SIGKILL'); // Servers and Patronis are left: dbkit ends them.
    const killed = ha(['restore', label], { DBKIT_FAIL_AT: 'cluster-restore.first-started' });
    expect(killed, killed.stderr).toMatchObject({ signal: 'SIGKILL' });
    const restored = ha(['restore', label]);
    expect(restored.status, restored.stderr + JSON.stringify(restored.failure)).toBe(0);
    expect(restored.report.proof!.streaming).toHaveLength(2);
    expect(rows()).toBe('1000|1000');
    insert(1001, 1010);
    expect(rows()).toBe('1010|1010');
    expect(Number(sql('select failed_count from pg_stat_archiver')), 'its WAL goes into the archive beside that of other timelines').toBe(
      0,
    );
    await expectSetAside(restored, 1600);
  });

  test('machine by machine, where dbkit can stop nobody else', LONG, async () => {
    const started: ChildProcess[] = [];
    const environment = (name: string) => ({
      ...{ PATH: process.env['PATH']!, TZ: 'UTC', LC_ALL: 'C.UTF-8', HOME: folder, DBKIT_CONFIG: join(folder, `${name}.json`) },
      ...{ POSTGRES_PASSWORD: password, PATRONI_SUPERUSER_PASSWORD: password },
      ...{ PATRONI_REPLICATION_PASSWORD: password, PATRONI_REWIND_PASSWORD: password, DBKIT_STOP_SECONDS: '30' },
    });
    const asUser = process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--'] : [];
    const command = (...words: string[]): [string, string[]] => {
      const [file, ...rest] = [...asUser, process.execPath, program, ...words];
      return [file!, rest];
    };
    const onMachine = (name: string, ...words: string[]) => {
      const { status, stdout, stderr } = spawnSync(...command('ha', 'restore', ...words, '--json', '--yes'), {
        ...{ cwd: folder, env: environment(name), encoding: 'utf8' as const },
      });
      const document = JSON.parse(stdout) as {
        readonly report?: { readonly done: boolean; readonly next: readonly string[]; readonly proof: object | null };
      };
      return { status, stderr, stdout, ...document };
    };
    const start = (name: string): void => {
      const log = openSync(join(base, `${name}.log`), 'a');
      const options = { cwd: folder, env: environment(name), stdio: ['ignore', log, log] as ['ignore', number, number] };
      started.push(spawn(...command('entrypoint', '--strict'), options));
    };
    try {
      const running = onMachine('n1', label);
      expect(running).toMatchObject({ status: 77, stdout: expect.stringContaining('still run') });
      const { processes } = JSON.parse(readFileSync(join(folder, 'cluster.json'), 'utf8')) as {
        processes: { name: string; pid: number }[];
      };
      for (const { name, pid } of processes) if (/^n\d$/.test(name)) process.kill(pid, 'SIGTERM');
      await until(
        () => ['n1', 'n2', 'n3'].every((name) => !existsSync(join(folder, name, 'postmaster.pid'))),
        () => 'a member does not stop',
      );
      const begun = await untilSaid(
        () => onMachine('n1', label), // Each Patroni must be gone, too.
        ({ status }) => status === 0,
      );
      expect(begun.report).toMatchObject({ done: false, next: ['on n1: systemctl start patroni', 'on n1: dbkit ha restore'] });
      start('n1');
      const first = await untilSaid(
        () => onMachine('n1'), // At first dbkit has not started Patroni yet.
        ({ report }) => report?.next.some((line) => line.includes('--aside')) === true,
      );
      for (const name of ['n2', 'n3']) {
        expect(first.report!.next).toContain(`on ${name}: dbkit ha restore --aside`);
        const aside = onMachine(name, '--aside');
        expect(aside, aside.stdout).toMatchObject({ status: 0, report: { next: [`on ${name}: systemctl start patroni`] } });
        start(name);
      }
      const last = await untilSaid(
        () => onMachine('n1'),
        ({ report }) => report?.done === true,
      );
      expect(last.report!.proof).toMatchObject({ leader: 'n1', rows: { rows: 1000 } });
      expect(rows()).toBe('1000|1000');
    } finally {
      for (const child of started) {
        const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
        child.kill('SIGTERM');
        await gone;
      }
    }
  });

  /** What every member had is still there, whole. */
  async function expectSetAside({ report }: Said, count: number): Promise<void> {
    expect(report.aside!.map(({ member }) => member).sort()).toEqual(['n1', 'n2', 'n3']);
    const { path } = report.aside!.find(({ member }) => member === report.first)!;
    const hba = join(base, 'hba.conf');
    writeFileSync(hba, 'local all all trust\n');
    chmodSync(hba, 0o644);
    const port = await freePort();
    const alone = { restore_command: 'false', recovery_target_timeline: 'current' }; // A replica's would go on after the restored cluster.
    const settings = { hba_file: hba, archive_mode: 'off', synchronous_standby_names: '', ...alone };
    const place = { socketDir: join(folder, 'run'), port };
    const major = readdirSync('/usr/lib/postgresql').sort().at(-1)!;
    const directory = `/usr/lib/postgresql/${major}/bin`;
    const old = await startBare({ directory, major: Number(major) } as Parameters<typeof startBare>[0], path, { ...place, settings });
    expect(old.up, old.words()).toBe(true);
    expect(await askNumber(place, 'postgres', 'select count(*) from ledger')).toBe(count);
    await old.stop();
  }
});
