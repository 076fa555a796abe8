import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { program } from '../harness/dbkit.ts';
import { until } from '../harness/processes.ts';
import { missing } from './lab.ts';

const FIRST_PORT = 11_440; // Below those that other tests take (test/harness/ports.ts).
const SERVERS = [FIRST_PORT + 11, FIRST_PORT + 12, FIRST_PORT + 13];
const ROUNDS = 6;
const LONG = { timeout: 600_000 };

/** kill -9 at the worst moments: what is left must be taken up, never become two clusters, and lose no acknowledged row. */
describe.skipIf(missing.length > 0)('kill -9 in a cluster', () => {
  let base: string;
  beforeAll(() => {
    base = mkdtempSync('/tmp/dbkit-kl-'); // Short: a path of a socket has 107 bytes.
    chmodSync(base, 0o755);
  });
  const again: ChildProcess[] = [];
  afterAll(async () => {
    for (const child of again) if (child.exitCode === null && child.signalCode === null) await gone(child, 'SIGTERM');
    ha('down');
    rmSync(base, { recursive: true, force: true });
  }, LONG.timeout);

  const args = (words: readonly string[]) => [program, '--local', join(base, 'd'), 'ha', ...words, '--json', '--yes'];
  const env = { PATH: process.env['PATH'] };
  const ha = (...words: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args(words), { cwd: base, env, encoding: 'utf8' });
    return { status, stderr, ...(JSON.parse(stdout) as { report?: { status?: string; leader?: string } }) };
  };
  const folder = (): string =>
    join(base, readdirSync(base, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('ha-local'))!);
  const logs = (): string => ['n1', 'n2', 'n3'].map((name) => `${name}: ${read(join(folder(), `${name}.log`)).slice(-1_000)}`).join('\n');
  const isWell = () =>
    until(
      () => ha('check').report?.status === 'ok',
      () => JSON.stringify(ha('check').report).slice(0, 2_000),
      180_000,
    );

  test('of Patroni while it makes the cluster: the half is set aside, and one cluster comes up', LONG, async () => {
    const up = spawn(process.execPath, args(['up', '--first-port', String(FIRST_PORT)]), {
      cwd: base,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    up.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const ended = once(up, 'exit');
    const half = (): string | undefined => {
      const initdb = processes((words) => words.includes('initdb') && words.includes(base))[0];
      const name = initdb && /ha-local\/(n\d)/.exec(commandOf(initdb))?.[1];
      return name && existsSync(join(folder(), name, 'PG_VERSION')) ? name : undefined;
    };
    let name = '';
    await until(
      () => {
        name = half() ?? '';
        return name !== '';
      },
      () => `no member makes a cluster: ${said}`,
    );
    const [patroni] = processes((words) => words.includes('patroni') && words.endsWith(`/${name}.yml`) && words.includes(base));
    process.kill(Number(patroni), 'SIGKILL');
    await ended;
    for (let tries = 0; tries < 2 && ha('check').report?.status !== 'ok'; tries += 1) ha('up', '--first-port', String(FIRST_PORT)); // A slow machine takes more than two minutes.
    expect(ha('check').report?.status, `${said}\n${logs()}`).toBe('ok');
    expect(readdirSync(join(folder(), 'backup/quarantine')).filter((one) => one.startsWith('replaced_'))).toHaveLength(1);
    expect(readFileSync(join(folder(), `${name}.log`), 'utf8')).toContain('its Patroni was ended while it made the cluster');
    expect(new Set(await Promise.all(SERVERS.map(identifier))).size, 'one cluster').toBe(1);
  });

  test('of dbkit itself, again and again under load: it is taken up, and no acknowledged row is gone', LONG, async () => {
    await ask(FIRST_PORT + 5, 'create table ledger (id int primary key)');
    const ledger = writeOn(FIRST_PORT + 5);
    for (let round = 0; round < ROUNDS; round += 1) {
      await until(
        () => ledger.ackedSince() > 20,
        () => 'no row is acknowledged',
        120_000,
      );
      const name = round % 2 === 0 ? ha('status').report!.leader! : `n${1 + ((round + 1) % 3)}`;
      const pid = processes((words) => words.includes('entrypoint --strict') && words.includes(program)).find(
        (one) => environmentOf(one)['DBKIT_CONFIG'] === join(folder(), `${name}.json`),
      );
      expect(pid, name).toBeDefined();
      const command = commandWords(pid!);
      const own = environmentOf(pid!);
      process.kill(Number(pid), 'SIGKILL');
      await sleep(round * 700); // Patroni goes on alone for a while, or hardly.
      again.push(start(command, own, join(folder(), `${name}.log`)));
      ledger.mark();
    }
    const acked = await ledger.stop();
    await isWell();
    expect(acked.length).toBeGreaterThan(ROUNDS * 20);
    const [row] = await ask(FIRST_PORT + 5, `select count(*)::int as n from ledger where id = any('{${acked.join(',')}}')`);
    expect(row!['n']).toBe(acked.length);
    expect(new Set(await Promise.all(SERVERS.map(identifier))).size, 'one cluster').toBe(1);
  });

  const password = (): string => (JSON.parse(readFileSync(join(folder(), 'cluster.json'), 'utf8')) as { password: string }).password;
  const client = (port: number): pg.Client => {
    const made = new pg.Client({
      host: '127.0.0.1',
      port,
      user: 'postgres',
      password: password(),
      database: 'postgres',
      connectionTimeoutMillis: 5_000,
    });
    made.on('error', () => undefined);
    return made;
  };
  async function ask(port: number, text: string): Promise<readonly Record<string, unknown>[]> {
    const session = client(port);
    await session.connect();
    try {
      return (await session.query(text)).rows as Record<string, unknown>[];
    } finally {
      await session.end();
    }
  }
  const identifier = async (port: number): Promise<unknown> =>
    (await ask(port, 'select system_identifier::text from pg_control_system()'))[0]!['system_identifier'];

  /** One client that writes row after row, in a new session whenever one fails. */
  function writeOn(port: number) {
    const acked: number[] = [];
    let marked = 0;
    let isOver = false;
    const all = (async () => {
      for (let row = 1; !isOver; ) {
        const session = client(port);
        try {
          await session.connect();
          for (; !isOver; row += 1) {
            await session.query(`insert into ledger values (${row})`);
            acked.push(row);
            await sleep(10);
          }
        } catch {
          row += 1; // It may be there nevertheless.
          await sleep(100);
        }
        await session.end().catch(() => undefined);
      }
    })();
    return {
      ackedSince: () => acked.length - marked,
      mark: () => {
        marked = acked.length;
      },
      stop: async () => {
        isOver = true;
        await all;
        return acked;
      },
    };
  }
});

const processes = (fits: (words: string) => boolean): readonly string[] =>
  readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && pid !== String(process.pid) && fits(commandOf(pid)));

const read = (path: string): string => {
  try {
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  } catch {
    return ''; // It has ended, or is another user's.
  }
};
const commandWords = (pid: string): string[] => read(`/proc/${pid}/cmdline`).split('\0').filter(Boolean);
const commandOf = (pid: string): string => commandWords(pid).join(' ');
const environmentOf = (pid: string): Record<string, string> =>
  Object.fromEntries(
    read(`/proc/${pid}/environ`)
      .split('\0')
      .filter(Boolean)
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );

/** As whatever keeps it running does: the same words, environment and user. */
function start([file, ...args]: readonly string[], env: Record<string, string>, log: string): ChildProcess {
  const output = openSync(log, 'a');
  const id = (flag: string): number => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout);
  const user = process.getuid?.() === 0 ? { uid: id('-u'), gid: id('-g') } : {};
  return spawn(file!, args, { env, stdio: ['ignore', output, output], detached: true, ...user });
}

async function gone(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const end = once(child, 'exit');
  child.kill(signal);
  await end;
}
