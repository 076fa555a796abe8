// Time from spawn to the first answered query of the application's role over TCP, side by side in one run:
//   bare      `postgres -D` alone
//   shell     the official image's entrypoint logic, written as a plain shell script for this benchmark (same steps, same order)
//   dbkit     `dbkit entrypoint`; with BESIDE=folder also that of another built checkout, on instances of its own
// on an existing instance, a fresh one (bare cannot), and an existing one with 20,000 relations. Then the entrypoint's memory while idle.
// Usage: node bench/boot.mjs [rounds] [bin-dir] [sections]     sections: existing,fresh,relations,idle (default: all)
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { inTurn, median, printTable, timed } from './measure.mjs';

const rounds = Number(process.argv[2] ?? 7);
const binDir = process.argv[3] || newestSystemBinaries();
const sections = process.argv[4]?.split(',') ?? ['existing', 'fresh', 'relations', 'idle'];
const dbkit = resolve('bin/dbkit.js');
const beside = process.env.BESIDE && resolve(process.env.BESIDE, 'bin/dbkit.js');
const isRoot = process.getuid() === 0;
const user = isRoot ? lookupPostgres() : { uid: process.getuid(), gid: process.getgid() };
const identity = isRoot ? user : {};
const root = mkdtempSync(join(tmpdir(), 'dbkit-bench-'));
chmodSync(root, 0o755);
process.on('exit', () => rmSync(root, { recursive: true, force: true }));

function newestSystemBinaries() {
  const majors = existsSync('/usr/lib/postgresql')
    ? readdirSync('/usr/lib/postgresql')
        .map(Number)
        .sort((a, b) => b - a)
    : [];
  if (majors.length === 0) throw new Error('no system PostgreSQL: name a bin-dir that holds postgres, initdb, pg_ctl and psql');
  return `/usr/lib/postgresql/${majors[0]}/bin`;
}

function lookupPostgres() {
  const row = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.startsWith('postgres:'))
    .split(':');
  return { uid: Number(row[2]), gid: Number(row[3]) };
}

const ownDirectory = (...parts) => {
  const path = join(root, ...parts);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (isRoot) chownSync(path, user.uid, user.gid);
  return path;
};

/** Below those that the kernel gives to whoever connects: asking a port of that range again and again ends in a connection to oneself. */
let lastPort = 20_000 + (process.pid % 10_000);
const freePort = () =>
  new Promise((done) => {
    lastPort += 1;
    const port = lastPort;
    const server = createServer()
      .once('error', () => done(freePort()))
      .listen(port, '127.0.0.1', () => server.close(() => done(port)));
  });

let serial = 0;
async function place(data) {
  serial += 1;
  const base = `run${serial}`;
  ownDirectory(base);
  return {
    port: await freePort(),
    data: data ?? join(root, base, 'data'),
    socket: ownDirectory(base, 's'),
    state: ownDirectory(base, 'state'),
    log: ownDirectory(base, 'log'),
    backups: ownDirectory(base, 'b'),
  };
}

async function firstAnswer(port) {
  const deadline = Date.now() + 120_000;
  while (Date.now() < deadline) {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'dbuser', password: 'password', database: 'dbuser' });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('SELECT 1');
      await client.end();
      return;
    } catch {
      await client.end().catch(() => undefined);
      await sleep(2);
    }
  }
  throw new Error('no answer within two minutes');
}

async function ended(child, signal) {
  const gone = new Promise((done) => child.once('exit', done));
  child.kill(signal);
  await gone;
}

const bare = (where) => ({
  child: () => spawn(join(binDir, 'postgres'), ['-D', where.data, '-p', where.port, '-k', where.socket], { stdio: 'ignore', ...identity }),
  stop: 'SIGINT',
});

// The official image's docker-entrypoint.sh, step by step: temporary server on the socket only, database, user, stop, exec.
const SHELL = `set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  printf '%s\\n' superpass >"$PWFILE"
  initdb -D "$PGDATA" --username=postgres --pwfile="$PWFILE" -k >/dev/null
  rm "$PWFILE"
  printf 'host all all all scram-sha-256\\n' >>"$PGDATA/pg_hba.conf"
  pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p $PORT -k $SOCKET" -w start >/dev/null
  psql -qX -h "$SOCKET" -p "$PORT" -U postgres -d postgres -c "CREATE ROLE dbuser LOGIN PASSWORD 'password'"
  psql -qX -h "$SOCKET" -p "$PORT" -U postgres -d postgres -c 'CREATE DATABASE dbuser OWNER dbuser'
  pg_ctl -D "$PGDATA" -m fast -w stop >/dev/null
fi
exec postgres -D "$PGDATA" -p "$PORT" -k "$SOCKET"
`;
const shell = (where) => ({
  child: () =>
    spawn('/bin/sh', ['-c', SHELL], {
      stdio: 'ignore',
      env: {
        PATH: `${binDir}:/usr/bin:/bin`,
        PGDATA: where.data,
        PORT: String(where.port),
        SOCKET: where.socket,
        PWFILE: join(where.state, 'pw'),
        LANG: 'C.UTF-8',
      },
      ...identity,
    }),
  stop: 'SIGINT',
});

const dbkitEntrypoint = (where) => entrypointOf(dbkit, where);
const entrypointBeside = (where) => entrypointOf(beside, where);
const entrypointOf = (program, where) => ({
  child: () =>
    spawn(process.execPath, [program, 'entrypoint', '--quiet'], {
      stdio: 'ignore',
      env: {
        PATH: process.env.PATH,
        LANG: 'C.UTF-8',
        PGDATA: where.data,
        PGPORT: String(where.port),
        PGHOST: where.socket,
        DBKIT_STATE_DIR: where.state,
        LOG_DIR: where.log,
        BACKUP_DIR: where.backups,
        POSTGRES_BIN_DIR: binDir,
        DBKIT_BACKUP_AFTER_START: 'false',
        CI: 'true',
      },
    }),
  stop: 'SIGTERM',
});

async function boot(make, where) {
  const { child: begin, stop } = make(where);
  let child;
  const ms = await timed(async () => {
    child = begin();
    await firstAnswer(where.port);
  });
  await ended(child, stop);
  return ms;
}

/** An existing, cleanly stopped instance; dbkit has seen it stop once, as in daily life. */
async function existing(relations, make = dbkitEntrypoint) {
  const where = await place();
  const { child: begin, stop } = make(where);
  const child = begin();
  await firstAnswer(where.port);
  if (relations > 0) {
    const client = new pg.Client({ host: where.socket, port: where.port, user: 'postgres', database: 'dbuser' });
    await client.connect();
    for (let from = 0; from < relations; from += 500) {
      await client.query(
        `DO $$ BEGIN FOR i IN ${from}..${from + 499} LOOP EXECUTE format('CREATE TABLE t%s (a int)', i); END LOOP; END $$`,
      );
    }
    await client.query('CHECKPOINT');
    await client.end();
  }
  await ended(child, stop);
  return where;
}

/** An instance for each side: bare and shell leave nothing of what dbkit notes at its own stop. */
async function contest(title, relations) {
  const [plain, own] = [await existing(relations), await existing(relations)];
  const on = async (make, where) => boot(make, { ...where, port: await freePort() });
  const contestants = [
    { name: 'bare postgres', run: () => on(bare, plain) },
    { name: 'shell (official image’s steps)', run: () => on(shell, plain) },
    { name: 'dbkit entrypoint', run: () => on(dbkitEntrypoint, own) },
  ];
  if (beside) {
    const other = await existing(relations, entrypointBeside);
    contestants.push({ name: `that of ${process.env.BESIDE}`, run: () => on(entrypointBeside, other) });
  }
  printTable(`${title}, ${rounds} rounds in turn`, await inTurn(contestants, rounds));
}

const nodeItself = async () => timed(async () => spawnSync(process.execPath, ['-e', '0']));
const nodeRuns = [];
for (let run = 0; run < 9; run += 1) nodeRuns.push(await nodeItself());
console.log(`binaries: ${binDir}\nnode -e 0: ${median(nodeRuns).toFixed(1)} ms`);

if (sections.includes('existing')) await contest('existing instance', 0);

const fresh = async (make) => boot(make, await place());
if (sections.includes('fresh'))
  printTable(
    `fresh instance, ${rounds} rounds in turn`,
    await inTurn(
      [
        { name: 'shell (official image’s steps)', run: () => fresh(shell) },
        { name: 'dbkit entrypoint', run: () => fresh(dbkitEntrypoint) },
        ...(beside ? [{ name: `that of ${process.env.BESIDE}`, run: () => fresh(entrypointBeside) }] : []),
      ],
      rounds,
    ),
  );

if (sections.includes('relations')) await contest('existing instance with 20,000 relations', 20_000);

if (sections.includes('idle')) {
  const idle = await place();
  const { child: begin, stop } = dbkitEntrypoint(idle);
  const child = begin();
  await firstAnswer(idle.port);
  await sleep(5_000);
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  const kib = (name) => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(status)[1]);
  console.log(`\nentrypoint while idle: ${(kib('VmRSS') / 1024).toFixed(1)} MiB resident, peak ${(kib('VmHWM') / 1024).toFixed(1)} MiB`);
  await ended(child, stop);
}
