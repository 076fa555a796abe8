import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { parse } from 'valibot';
import { type Config, configSchema } from '../../src/config/config.ts';
import { type Connection, connect } from '../../src/instance/connection.ts';
import type { Identity, System } from '../../src/kernel/machine.ts';
import { createSystem } from '../../src/machine/machine.ts';
import { installed, runnable } from '../harness/majors.ts';
import { freePort } from '../harness/ports.ts';

export const signal = new AbortController().signal;
const isRoot = process.getuid?.() === 0;

function postgresUser(): { uid: number; gid: number } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('postgres:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}
const ids = isRoot ? postgresUser() : { uid: process.getuid!(), gid: process.getgid!() };
export const owner: Identity = { ...ids, name: 'postgres', home: '/' };

const root = new URL('../..', import.meta.url).pathname;
/** The majors these tests run on, with a complete Debian installation first, where the server's user can run them. */
export const installations = await Promise.all(
  installed.map(async (programs) => ({ major: programs.major, binDir: (await runnable(programs)).directory })),
);

export interface Scratch {
  readonly dir: string;
  remove(): void;
}
export function scratch(): Scratch {
  const dir = mkdtempSync(join(tmpdir(), 'dbkit-copy-'));
  if (isRoot) chownSync(dir, owner.uid, owner.gid);
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

export function run(file: string, args: readonly string[]): string {
  const result = spawnSync(file, args, { encoding: 'utf8', cwd: '/tmp', ...(isRoot ? ids : {}) });
  if (result.status !== 0)
    throw new Error(`${file} ${args.join(' ')}: ${result.stderr ?? ''}${result.stdout ?? ''}${String(result.error ?? '')}`);
  return result.stdout;
}

export interface TestServer {
  readonly dataDir: string;
  readonly port: number;
  readonly socketDir: string;
  connect(database?: string): Promise<Connection>;
  stop(signalName?: NodeJS.Signals): Promise<void>;
  log(): string;
}

export function initdb(binDir: string, dataDir: string, ...args: string[]): void {
  run(join(binDir, 'initdb'), [
    '-D',
    dataDir,
    '-U',
    'postgres',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale=C',
    '--data-checksums',
    '-N',
    ...args,
  ]);
}

/** Starts a server and waits until it takes writes; a standby, until it takes sessions. */
export async function startServer(
  binDir: string,
  dataDir: string,
  settings: Readonly<Record<string, string>> = {},
  isStandby = false,
): Promise<TestServer> {
  const port = settings['port'] === undefined ? await freePort() : Number(settings['port']);
  const socketDir = dirname(dataDir);
  const all = {
    listen_addresses: '',
    dynamic_shared_memory_type: 'mmap',
    unix_socket_directories: socketDir,
    port: String(port),
    ...settings,
  };
  const args = ['-D', dataDir, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  const chunks: string[] = [];
  const child: ChildProcess = spawn(join(binDir, 'postgres'), args, {
    cwd: '/tmp',
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(isRoot ? ids : {}),
  });
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const server: TestServer = {
    dataDir,
    port,
    socketDir,
    connect: async (database = 'postgres') => {
      const session = await connect({ socketDir, port, user: 'postgres', database }, { as: 'superuser', timeoutMs: 5_000 }, signal);
      await session.query('SET search_path = "$user", public'); // As an application has it; dbkit's own sessions look nowhere but in pg_catalog.
      await session.query('SET statement_timeout = 0');
      return session;
    },
    async stop(signalName = 'SIGINT') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signalName);
      await exited;
    },
    log: () => chunks.join(''),
  };
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the server did not start:\n${server.log()}`);
    const ready = await server.connect().then(
      async (connection) => {
        const [row] = await connection.query<{ busy: boolean }>('SELECT pg_is_in_recovery() AS busy');
        await connection.end();
        return row?.busy === isStandby;
      },
      () => false,
    );
    if (ready) return server;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** This machine, with the log kept in `events`. */
export function testSystem(events: string[] = []): Promise<System> {
  const note = (event: string, message: string): void => void events.push(`${event}: ${message}`);
  return createSystem({ debug: note, info: note, warn: note, error: note, progress: () => undefined }, process.env);
}

export function testConfig(server: Pick<TestServer, 'socketDir' | 'port'>, backupDir: string, more: object = {}): Config {
  return parse(configSchema, { backupDir, postgresql: { socketDir: server.socketDir, port: server.port }, ...more });
}

/** Several clients that insert as fast as they can; `acknowledged` holds what the server said was committed. */
export interface Load {
  readonly acknowledged: ReadonlySet<number>;
  /** Ends it; clients whose server died before are fine. */
  stop(): Promise<void>;
}
export async function startLoad(server: TestServer, clients = 2): Promise<Load> {
  const setup = await server.connect();
  await setup.query('CREATE TABLE IF NOT EXISTS ledger (id int PRIMARY KEY, note text)');
  const [row] = await setup.query<{ top: number }>('SELECT coalesce(max(id), 0)::int AS top FROM ledger');
  await setup.end();
  const acknowledged = new Set<number>();
  let next = row!.top + 1;
  let running = true;
  const client = async (): Promise<void> => {
    const connection = await server.connect();
    try {
      while (running) {
        const id = next++;
        await connection.query('INSERT INTO ledger VALUES ($1, repeat(md5($2), 20))', [id, String(id)]);
        acknowledged.add(id);
        if (id % 50 === 0) await connection.query("UPDATE ledger SET note = note || 'x' WHERE id % 97 = $1", [id % 97]);
      }
    } finally {
      await connection.end();
    }
  };
  // A client ends with its server; what it was told before stands.
  const all = Array.from({ length: clients }, () => client().catch(() => undefined));
  return {
    acknowledged,
    async stop() {
      running = false;
      await Promise.all(all);
    },
  };
}

const atOnce = `
  const { Client } = require('pg');
  const { host, port, statements } = JSON.parse(process.argv[1]);
  const client = new Client({ host, port, user: 'postgres', database: 'postgres' });
  client
    .connect()
    .then(() => statements.reduce((before, sql) => before.then(() => client.query(sql)), Promise.resolve()))
    .then(() => client.end());
`;

/** Statements that are done when this returns: for what has to happen while the program under test stands still. */
export function executeNow({ socketDir: host, port }: TestServer, ...statements: readonly string[]): void {
  const result = spawnSync(process.execPath, ['-e', atOnce, JSON.stringify({ host, port, statements })], { encoding: 'utf8', cwd: root });
  if (result.status !== 0) throw new Error(result.stderr);
}

export const pathIn = (dir: string, ...names: string[]): string => {
  const path = join(dir, ...names);
  mkdirSync(dirname(path), { recursive: true });
  return path;
};

export async function idsIn(server: TestServer): Promise<Set<number>> {
  const connection = await server.connect();
  const rows = await connection.query<{ id: number }>('SELECT id FROM ledger');
  await connection.end();
  return new Set(rows.map(({ id }) => id));
}

const child = `
  import { createBaseBackups } from '${root}src/backups/base/base-backups.ts';
  import { createSystem } from '${root}src/machine/machine.ts';
  import { configSchema } from '${root}src/config/config.ts';
  import { parse } from 'valibot';
  const { config, dataDir, owner } = JSON.parse(process.argv[2]);
  const note = (event, message) => process.stderr.write(event + ': ' + message + '\\n');
  const log = { debug: note, info: note, warn: note, error: note, progress: () => undefined };
  const base = createBaseBackups({ config: parse(configSchema, config), system: await createSystem(log, process.env), dataDir, owner });
  await base.take(new AbortController().signal);
`;

/** Bundles a program that takes one backup; returns its path. */
export async function bundleBackupProgram(dir: string): Promise<string> {
  const outfile = join(dir, 'backup.mjs');
  const banner = { js: "import { createRequire as r } from 'node:module'; const require = r(import.meta.url);" };
  const stdin = { contents: child, resolveDir: root };
  await build({ stdin, outfile, bundle: true, platform: 'node', format: 'esm', external: ['pg-native'], banner, logLevel: 'error' });
  return outfile;
}

/** Runs that program to its end, or to its death at `failAt`; the signal that ended it, or its status, and its words. */
export function runBackupProgram(program: string, server: TestServer, backupDir: string, failAt: string): { end: string; words: string } {
  const config = { backupDir, maxBackups: 2, postgresql: { socketDir: server.socketDir, port: server.port } };
  const args = [program, JSON.stringify({ config, dataDir: server.dataDir, owner })];
  const result = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: root, env: { ...process.env, DBKIT_FAIL_AT: failAt } });
  return { end: String(result.signal ?? result.status), words: result.stderr };
}
