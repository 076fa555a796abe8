import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { program } from '../harness/dbkit.ts';
import { freePort } from '../harness/ports.ts';
import { until } from '../harness/processes.ts';

const BINARIES = '/usr/lib/postgresql';
const wanted = ['/usr/bin/patroni', '/usr/bin/etcd', '/usr/sbin/haproxy', '/usr/sbin/pgbouncer', BINARIES];
/** Programs of Debian's packages that are not here. */
export const missing = wanted.filter((path) => !existsSync(path));

const BRING_UP_MS = 120_000;
export const PASSWORD = 'lab-postgres';
const names = ['n1', 'n2', 'n3'] as const;
type Name = (typeof names)[number];

export interface Ran {
  readonly code: number | null;
  /** The document of --json. */
  readonly json: { readonly ok: boolean; readonly report: Record<string, unknown>; readonly failure: { readonly message: string } };
  readonly stderr: string;
}

export interface Lab {
  readonly writePort: number;
  readonly poolerPort: number;
  /** `dbkit ha …`, with --json. */
  ha(...args: readonly string[]): Promise<Ran>;
  /** kill -9 of its Patroni and of its postmaster, as when the machine is gone. */
  kill(name: Name): void;
  start(name: Name): void;
  /** SIGSTOP or SIGCONT for etcd. */
  signalStore(signal: 'SIGSTOP' | 'SIGCONT'): void;
  down(): Promise<void>;
}

/** etcd, three members, HAProxy and PgBouncer on ports of the loopback; resolves when `dbkit ha check` finds nothing wrong. */
export async function bringUp(): Promise<Lab> {
  const directory = mkdtempSync(join(tmpdir(), 'dbkit-cluster-'));
  const asking = mkdtempSync(join(tmpdir(), 'dbkit-asking-')); // A configuration that the servers' user could write is refused.
  const user = process.getuid?.() === 0 ? identity('postgres') : undefined;
  const port = async () => freePort();
  const ports = { etcd: await port(), peer: await port(), write: await port(), pooler: await port() };
  const servers = { n1: await port(), n2: await port(), n3: await port() };
  const apis = { n1: await port(), n2: await port(), n3: await port() };
  const children = new Map<string, ChildProcess>();
  const run = (name: string, file: string, args: readonly string[]): void => {
    const log = openSync(join(directory, `${name}.log`), 'a');
    children.set(name, spawn(file, [...args], { stdio: ['ignore', log, log], cwd: directory, ...user }));
  };
  const postmaster = (name: Name): number => Number(readFileSync(join(directory, name, 'postmaster.pid'), 'utf8').split('\n')[0]);
  writeFiles(directory, { ports, servers, apis });
  writeFileSync(join(asking, 'dbkit.yaml'), JSON.stringify(configuration({ ports, servers, apis })));
  mkdirSync(join(directory, 'run'));
  for (const name of ['.', ...readdirSync(directory)]) if (user) chownSync(join(directory, name), user.uid, user.gid);
  chmodSync(directory, 0o755);
  const [client, peer] = [`http://127.0.0.1:${ports.etcd}`, `http://127.0.0.1:${ports.peer}`];
  run('etcd', '/usr/bin/etcd', [
    ...['--enable-v2=true', '--name', 'lab', '--data-dir', join(directory, 'etcd')],
    ...['--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer],
    ...['--initial-advertise-peer-urls', peer, '--initial-cluster', `lab=${peer}`],
  ]);
  const start = (name: Name): void => run(name, '/usr/bin/patroni', [join(directory, `${name}.yml`)]);
  names.forEach(start);
  run('haproxy', '/usr/sbin/haproxy', ['-db', '-f', join(directory, 'haproxy.cfg')]);
  run('pgbouncer', '/usr/sbin/pgbouncer', ['-q', join(directory, 'pgbouncer.ini')]);
  const lab: Lab = {
    writePort: ports.write,
    poolerPort: ports.pooler,
    ha: (...args) => dbkit(asking, ['ha', ...args]),
    start,
    kill(name) {
      children.get(name)!.kill('SIGKILL');
      process.kill(postmaster(name), 'SIGKILL');
    },
    signalStore: (signal) => void children.get('etcd')!.kill(signal),
    async down() {
      children.get('etcd')!.kill('SIGCONT');
      for (const name of ['n1', 'n2', 'n3', 'haproxy', 'pgbouncer', 'etcd']) await ended(children.get(name)!);
      for (const name of names) if (existsSync(join(directory, name, 'postmaster.pid'))) process.kill(postmaster(name), 'SIGQUIT');
      await until(
        () => names.every((name) => !existsSync(join(directory, name, 'postmaster.pid'))),
        () => `a server still runs in ${directory}`,
      );
      for (const path of [directory, asking]) rmSync(path, { recursive: true, force: true });
    },
  };
  try {
    await until(
      async () => (await lab.ha('check', '--strict')).code === 0,
      () => `the cluster does not become well; see ${directory}`,
      BRING_UP_MS,
    );
  } catch (cause) {
    await lab.down();
    throw cause;
  }
  return lab;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await gone;
  clearTimeout(timer);
}

async function dbkit(directory: string, args: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [program, ...args, '--json', '--yes', '--config', join(directory, 'dbkit.yaml')], {
    env: { PATH: process.env['PATH'], POSTGRES_PASSWORD: PASSWORD, DBKIT_STATE_DIR: join(directory, 'state') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (said.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said.stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, json: JSON.parse(said.stdout), stderr: said.stderr };
}

const identity = (name: string): { readonly uid: number; readonly gid: number } => {
  const id = (flag: string): number => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
};

interface Places {
  readonly ports: { readonly etcd: number; readonly write: number; readonly pooler: number };
  readonly servers: Readonly<Record<Name, number>>;
  readonly apis: Readonly<Record<Name, number>>;
}

function writeFiles(directory: string, { ports, servers, apis }: Places): void {
  const write = (name: string, content: string | object, mode = 0o644): void =>
    writeFileSync(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content, null, 1), { mode });
  const major = readdirSync(BINARIES)
    .map(Number)
    .sort((a, b) => b - a)[0]!;
  for (const name of names) write(`${name}.yml`, memberFile(name, directory, `${BINARIES}/${major}/bin`, { ports, servers, apis }));
  const checks = names.map((name) => `server ${name} 127.0.0.1:${servers[name]} check port ${apis[name]}`);
  write(
    'haproxy.cfg',
    `defaults
 mode tcp
 timeout connect 4s
 timeout client 30m
 timeout server 30m
 timeout check 1s
 default-server inter 1s fastinter 250ms downinter 250ms fall 2 rise 1 on-marked-down shutdown-sessions
 option httpchk
 http-check expect status 200
listen write
 bind 127.0.0.1:${ports.write}
 http-check send meth GET uri /primary
 ${checks.join('\n ')}
`,
  );
  write(
    'pgbouncer.ini',
    `[databases]
* = host=127.0.0.1 port=${ports.write}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${ports.pooler}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${directory}/userlist.txt
pool_mode = transaction
server_login_retry = 1
ignore_startup_parameters = extra_float_digits,options
admin_users = postgres
`,
  );
  write('userlist.txt', `"postgres" "${PASSWORD}"\n`, 0o600);
}

function configuration({ ports, servers, apis }: Places): object {
  const members = Object.fromEntries(
    names.map((name) => [name, { api: `http://127.0.0.1:${apis[name]}`, server: `127.0.0.1:${servers[name]}` }]),
  );
  return { ha: { members, writeAddress: `127.0.0.1:${ports.write}`, pooler: `127.0.0.1:${ports.pooler}` } };
}

/** YAML is a superset of JSON. */
const memberFile = (name: Name, directory: string, binaries: string, { ports, servers, apis }: Places): object => ({
  scope: 'lab',
  name,
  restapi: { listen: `127.0.0.1:${apis[name]}`, connect_address: `127.0.0.1:${apis[name]}` },
  etcd: { hosts: [`127.0.0.1:${ports.etcd}`] },
  bootstrap: {
    dcs: {
      ttl: 20,
      loop_wait: 2,
      retry_timeout: 5,
      maximum_lag_on_failover: 1_048_576,
      check_timeline: true,
      synchronous_mode: true,
      failsafe_mode: true,
      postgresql: {
        use_pg_rewind: true,
        use_slots: true,
        parameters: { wal_log_hints: 'on', shared_buffers: '16MB', max_connections: 60 },
      },
    },
    initdb: [{ encoding: 'UTF8' }, 'data-checksums'],
  },
  postgresql: {
    listen: `127.0.0.1:${servers[name]}`,
    connect_address: `127.0.0.1:${servers[name]}`,
    data_dir: join(directory, name),
    bin_dir: binaries,
    pgpass: join(directory, 'run', `${name}.pgpass`),
    authentication: {
      superuser: { username: 'postgres', password: PASSWORD },
      replication: { username: 'replicator', password: 'lab-replicator' },
      rewind: { username: 'rewinder', password: 'lab-rewinder' },
    },
    pg_hba: ['local all all trust', 'host all all 127.0.0.1/32 scram-sha-256', 'host replication all 127.0.0.1/32 scram-sha-256'],
    parameters: { unix_socket_directories: join(directory, 'run') },
    remove_data_directory_on_rewind_failure: false,
    remove_data_directory_on_diverged_timelines: false,
  },
});
