import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Turn, takeTurn } from '../../src/cluster/drill/turn.ts';
import { watchWritable } from '../../src/cluster/drill/writable-watch.ts';
import { startWriters, TABLE, type Writers } from '../../src/cluster/drill/writers.ts';
import { guardedMember, memberConfiguration } from '../../src/cluster/local/local-member.ts';
import { localPlan } from '../../src/cluster/local/local-plan.ts';
import { memberDocument, poolerText, routerText, storeDocument } from '../../src/cluster/render/documents.ts';
import type { ClusterPlan } from '../../src/cluster/render/plan.ts';
import { layerConfig } from '../../src/config/layers.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { clock } from '../../src/machine/clock.ts';
import { program } from '../harness/dbkit.ts';
import { killAllIn, until } from '../harness/processes.ts';
import { type Said, said, sqlOf } from './guarded-lab-asks.ts';

const PASSWORD = 'lab-postgres';
const login = { superuser: 'postgres', superuserPassword: new Secret(PASSWORD), requireAuth: undefined };
const BINARIES = '/usr/lib/postgresql';
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const BRING_UP_MS = 180_000;

export interface GuardedLab {
  readonly folder: string;
  readonly plan: ClusterPlan;
  /** `dbkit ha …`, with --json. */
  ha(...words: readonly string[]): Said;
  /** dbkit on the machine of a member, as its own dbkit is configured and as its user, with --json. */
  onMember(member: string, ...words: readonly string[]): Said;
  /** Resolves when `dbkit ha check` finds nothing wrong. */
  isWell(): Promise<void>;
  /** kill -9 of an etcd, and its start with the data that it had. */
  killStore(index: number): void;
  startStore(index: number): void;
  /** One statement, through the write address unless another port is named. */
  sql(text: string, port?: number): Promise<readonly Record<string, unknown>[]>;
  /** Clients at the write address, and somebody who asks every server ten times a second; `end` counts. */
  load(): Promise<Load>;
  /** As a drill of another machine takes it. */
  turn(): Promise<Turn | null>;
  down(): Promise<void>;
}

export interface Load {
  readonly writers: Writers;
  /** Ends the clients; `lostRows`: acknowledged, and not there. */
  end(): Promise<{ readonly ackedRows: number; readonly lostRows: number; readonly twoWritableMs: number }>;
}

interface Wish {
  readonly firstPort: number;
  readonly stores: number;
  /** Called with each member's folder before anything runs; its data is below it. */
  readonly prepare?: (path: string) => void;
}

/** Three members as on machines of their own, each under `dbkit entrypoint` with its guard, and any number of etcds: what `ha up --local` has only one of. */
export async function bringUpGuarded({ firstPort, stores, prepare = () => undefined }: Wish): Promise<GuardedLab> {
  const folder = mkdtempSync('/tmp/dbkit-gl-'); // Short: a path of a socket has 107 bytes.
  const asking = mkdtempSync('/tmp/dbkit-ga-'); // A configuration that the servers' user could write is refused.
  const user = process.getuid?.() === 0 ? { uid: id('-u'), gid: id('-g') } : undefined;
  const { plan, ha, programs } = planOf(folder, firstPort, stores);
  const write = (path: string, content: object | string): void =>
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content, null, 1));
  for (const name of ['run', ...plan.members.map((one) => `${one.name}.disk`)]) mkdirSync(join(folder, name), { mode: 0o700 });
  for (const { name } of plan.members) prepare(join(folder, `${name}.disk`));
  for (const store of plan.stores) write(join(folder, `${store.name}.yml`), storeDocument(plan, store));
  for (const member of plan.members) {
    write(join(folder, `${member.name}.yml`), memberDocument(plan, member));
    write(join(folder, `${member.name}.json`), memberConfiguration(member, { folder, programs }, ha));
  }
  write(join(folder, 'haproxy.cfg'), routerText(plan));
  write(join(folder, 'pgbouncer.ini'), poolerText(plan));
  write(join(folder, 'userlist.txt'), `"postgres" "${PASSWORD}"\n`);
  write(join(asking, 'dbkit.yaml'), { ha, stateDir: join(asking, 'state') });
  if (user) for (const name of ['.', ...readdirSync(folder)]) chownSync(join(folder, name), user.uid, user.gid);
  for (const path of [folder, asking]) chmodSync(path, 0o755);

  const children = new Map<string, ChildProcess>();
  const env = { PATH, LC_ALL: 'C.UTF-8', HOME: folder };
  const run = (name: string, file: string, args: readonly string[], own: Readonly<Record<string, string>> = env): void => {
    const log = openSync(join(folder, `${name}.log`), 'a');
    children.set(name, spawn(file, [...args], { stdio: ['ignore', log, log], cwd: folder, env: own, ...user }));
  };
  const startStore = (index: number): void => run(`etcd${index}`, '/usr/bin/etcd', ['--config-file', join(folder, `etcd${index}.yml`)]);
  for (const index of plan.stores.keys()) startStore(index);
  const state = { schema: 'dbkit.ha-cluster/v1', port: firstPort, members: 3, password: PASSWORD, processes: [] } as const;
  const commands = plan.members.map((member) => {
    const setting = { folder, plan, programs, state: { ...state, processes: [] }, program: [process.execPath, program], env };
    return guardedMember(member, setting);
  });
  for (const { name, file, args, env: own } of commands) run(name, file, args, own);
  run('haproxy', '/usr/sbin/haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')]);
  run('pgbouncer', '/usr/sbin/pgbouncer', ['-q', join(folder, 'pgbouncer.ini')]);

  const ask = (...words: readonly string[]): Said => {
    const args = [program, 'ha', ...words, '--json', '--yes', '--config', join(asking, 'dbkit.yaml')];
    return said(spawnSync(process.execPath, args, { encoding: 'utf8', env: { PATH, POSTGRES_PASSWORD: PASSWORD } }));
  };
  const onMember = (member: string, ...words: readonly string[]): Said => {
    const { file, env: own } = commands.find(({ name }) => name === member)!;
    return said(spawnSync(file, [program, ...words, '--json'], { encoding: 'utf8', env: own, cwd: folder, ...user }));
  };
  const sql = (text: string, port = plan.writes.port) => sqlOf(port, PASSWORD, text);
  const lab: GuardedLab = {
    folder,
    plan,
    ha: ask,
    onMember,
    isWell: () => untilWell(ask),
    killStore: (index) => void children.get(`etcd${index}`)!.kill('SIGKILL'),
    startStore,
    sql,
    load: () => loadOn(plan, folder, sql),
    turn: () => takeTurn({ endpoint: { name: 'write', place: plan.writes }, login, clock }, new AbortController().signal),
    async down() {
      for (const name of ['n1', 'n2', 'n3']) children.get(name)!.kill('SIGTERM');
      for (const name of ['n1', 'n2', 'n3']) await ended(children.get(name)!);
      for (const child of children.values()) await ended(child);
      await killAllIn(folder);
      for (const path of [folder, asking]) rmSync(path, { recursive: true, force: true });
    },
  };
  try {
    await untilWell(ask);
  } catch (cause) {
    const logs = ['n1', 'n2', 'n3'].map((name) => readFileSync(join(folder, `${name}.log`), 'utf8').slice(-1_500)).join('\n');
    await lab.down();
    throw new Error(`${String(cause)}\n${logs}`);
  }
  return lab;
}

const untilWell = (ask: GuardedLab['ha']): Promise<void> =>
  until(
    () => ask('check').report.status === 'ok',
    () => JSON.stringify(ask('check').report.findings),
    BRING_UP_MS / 20, // Each look takes much longer than until() counts.
  );

function planOf(folder: string, port: number, stores: number) {
  const { config } = layerConfig({ file: { path: '/dbkit.yaml', value: {} }, environment: [], flags: [] });
  const majors = readdirSync(BINARIES).map(Number);
  const binDir = `${BINARIES}/${Math.max(...majors)}/bin`;
  const patroniVersion = /\d+(\.\d+)+/.exec(execFileSync('patroni', ['--version'], { encoding: 'utf8' }))![0];
  const made = localPlan({ folder, port, members: 3, patroniVersion, binDir }, config);
  const store = (index: number) => {
    const place = (own: number) => ({ host: '127.0.0.1', port: port + own + index });
    return { name: `etcd${index}`, client: place(31), peer: place(41), dataDir: join(folder, `etcd${index}`) };
  };
  const plan: ClusterPlan = {
    ...made,
    members: made.members.map((one) => ({ ...one, dataDir: join(folder, `${one.name}.disk`, 'data') })),
    stores: Array.from({ length: stores }, (_one, index) => store(index)),
  };
  const address = ({ host, port: own }: { readonly host: string; readonly port: number }): string => `${host}:${own}`;
  const ha = {
    ...config.ha,
    members: Object.fromEntries(
      plan.members.map(({ name, api, server }) => [name, { api: `http://${address(api)}`, server: address(server) }]),
    ),
    writeAddress: address(plan.writes),
    pooler: address(plan.pooler),
  };
  const programs = { patroni: '/usr/bin/patroni', etcd: '', haproxy: '', pgbouncer: '', binDir, patroniVersion };
  return { plan, ha, programs };
}

async function loadOn(plan: ClusterPlan, folder: string, sql: GuardedLab['sql']): Promise<Load> {
  const [schema] = TABLE.split('.');
  await sql(`drop schema if exists ${schema} cascade; create schema ${schema}; create table ${TABLE} (writer int, row bigint)`);
  const servers = plan.members.map(({ server }) => server);
  const watch = watchWritable(servers, login, clock);
  const endpoints = [{ name: 'write' as const, place: plan.writes }];
  const writers = await startWriters(endpoints, { login, clock, ledger: join(folder, 'ledger'), patienceMs: 3_000 });
  return {
    writers,
    async end() {
      await writers.stop();
      await watch.stop();
      const there = new Set((await sql(`select writer, row::text as row from ${TABLE}`)).map((one) => `${one['writer']} ${one['row']}`));
      const acked = writers.acked();
      const lostRows = acked.filter(({ writer, row }) => !there.has(`${writer} ${row}`)).length;
      return { ackedRows: acked.length, lostRows, twoWritableMs: watch.twoWritableMs() };
    },
  };
}

const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  await gone;
  clearTimeout(timer);
}
