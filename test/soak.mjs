// `npm run test:soak [-- MINUTES]`: an entrypoint with monitor and page for 20 minutes, with pgbench, a backup every 20 s and clients on the page; prints
// what it holds after a minute and at the end, and fails where that has grown: memory, descriptors, children, zombies, state.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const minutes = Number(process.argv[2] ?? 20);
const BACKUP_EVERY_MS = 20_000;
const CLIENTS = 20;
/** Node's heap breathes; a leak of one object a request shows by far more than this. */
const GROWTH_MAX = { memoryMiB: 60, descriptors: 10, children: 3, zombies: 0, stateKiB: 2_048 };

const majors = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').map(Number) : [];
const binDir = `/usr/lib/postgresql/${Math.max(...majors)}/bin`;
const folder = mkdtempSync(join(tmpdir(), 'dbkit-soak-'));
chmodSync(folder, 0o755);
const bin = resolve('bin/dbkit.js');
const local = [`--local=${join(folder, 'i')}`, `--bin-dir=${binDir}`];
const page = await freePort();
const env = { ...process.env, DBKIT_MONITOR: 'true', DBKIT_LISTEN: String(page), HEALTH_CHECK_INTERVAL: '2', MAX_BACKUPS: '5', CI: 'true' };

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

/** Every process below one, by its row of /proc: [pid, state]. */
function below(pid) {
  const rows = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const [state, parent] = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1).split(' ');
        return [{ pid: Number(name), state, parent: Number(parent) }];
      } catch {
        return []; // It has ended.
      }
    });
  const found = [];
  for (let level = [pid]; level.length > 0; ) {
    const next = rows.filter(({ parent }) => level.includes(parent));
    found.push(...next);
    level = next.map((row) => row.pid);
  }
  return found;
}

const isDbkit = (pid) => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('node');
  } catch {
    return false;
  }
};

const sizeOf = (path) =>
  readdirSync(path, { recursive: true }).reduce((sum, name) => sum + (statSync(join(path, name), { throwIfNoEntry: false })?.size ?? 0), 0);

/** Of the entrypoint and the other processes of dbkit's below it; the server's are PostgreSQL's own. */
function measure(pid, stateDir) {
  const children = below(pid);
  const own = [pid, ...children.map((child) => child.pid).filter(isDbkit)];
  const memory = own.map((one) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${one}/status`, 'utf8'))?.[1] ?? 0));
  return {
    memoryMiB: Math.round(memory.reduce((sum, kib) => sum + kib, 0) / 1024),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    children: own.length - 1,
    zombies: children.filter(({ state }) => state === 'Z').length,
    stateKiB: Math.round(sizeOf(stateDir) / 1024),
  };
}

/** Clients that come, look and go, until it is over. */
async function look(over) {
  let answered = 0;
  while (!over.aborted)
    for (const path of ['/', '/metrics', '/livez', '/readyz']) {
      const response = await fetch(`http://127.0.0.1:${page}${path}`).catch(() => undefined);
      await response?.text();
      answered += response ? 1 : 0;
      await sleep(100);
    }
  return answered;
}

let failure;
const over = new AbortController();
const entrypoint = spawn(process.execPath, [bin, 'entrypoint', ...local], { cwd: '/', env, stdio: ['ignore', 'ignore', 'inherit'] });
const ended = new Promise((exit) => entrypoint.once('exit', (code) => exit(code)));
try {
  const dbkit = (...args) => spawnSync(process.execPath, [bin, ...args, ...local], { encoding: 'utf8', cwd: '/', env });
  if (dbkit('health', '--wait').status > 1) throw new Error('the instance does not become healthy');
  const { report } = JSON.parse(dbkit('config', 'show', '--json').stdout);
  const setting = (path) => String(report.settings.find((each) => each.path === path).value);
  const [socketDir, port, stateDir] = [setting('postgresql.socketDir'), setting('postgresql.port'), setting('stateDir')];
  const address = ['-h', socketDir, '-p', port, '-U', 'postgres'];
  const bench = (...args) => [join(binDir, 'pgbench'), ...address, ...args, 'postgres'];
  const [program, ...init] = bench('-i', '-q', '-s', '2');
  if (spawnSync(program, init).status !== 0) throw new Error('pgbench does not begin');
  const load = spawn(program, bench('-c', '2', '-R', '50', '-T', String(Math.ceil(minutes * 60))).slice(1), { stdio: 'ignore' });
  const clients = Array.from({ length: CLIENTS }, () => look(over.signal));
  let backups = 0;
  let first;
  for (const untilMs = performance.now() + minutes * 60_000; performance.now() < untilMs; await sleep(BACKUP_EVERY_MS)) {
    const taken = dbkit('backup', 'create');
    if (taken.status !== 0) throw new Error(`a backup failed: ${taken.stderr}`);
    backups += 1;
    if (backups === 3) first = measure(entrypoint.pid, stateDir); // By then everything that is loaded on demand has been.
  }
  load.kill();
  over.abort();
  const answered = (await Promise.all(clients)).reduce((sum, count) => sum + count, 0);
  await sleep(2_000);
  const last = measure(entrypoint.pid, stateDir);
  console.log(`${minutes} min, ${backups} backups, ${answered} answers of the page`);
  for (const [name, before] of Object.entries(first ?? last))
    console.log(`${name.padEnd(12)}${String(before).padStart(8)} → ${last[name]}`);
  const grown = Object.keys(last).filter((name) => last[name] - (first ?? last)[name] > GROWTH_MAX[name]);
  if (grown.length > 0) throw new Error(`it grows: ${grown.join(', ')}`);
  if (last.zombies > 0) throw new Error(`${last.zombies} zombies`);
} catch (cause) {
  failure = cause;
} finally {
  over.abort();
  entrypoint.kill('SIGTERM');
  const code = await ended;
  if (code !== 0) failure ??= new Error(`the entrypoint ended with ${code}`);
  rmSync(folder, { recursive: true, force: true });
}
if (failure) {
  console.error(failure);
  process.exitCode = 1;
}
