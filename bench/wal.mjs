// What the WAL archive costs and how soon it has a commit: servers whose WAL is kept, whose commits wait for it, and whose WAL is not kept, in turns;
// beside them pg_receivewal, which fsyncs what it receives too, and pgBackRest's asynchronous archive-push, where they are installed.
// Usage: node bench/wal.mjs [bin-dir] [seconds of a round]
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { median } from './measure.mjs';
import { backrest, receivewal } from './wal-peers.mjs';

const newest = () =>
  readdirSync('/usr/lib/postgresql')
    .map(Number)
    .sort((a, b) => b - a)[0];
const [binDir = `/usr/lib/postgresql/${newest()}/bin`, seconds = '10'] = process.argv.slice(2);
const dbkit = resolve('bin/dbkit.js');
const shim = resolve('bin/dbkit-wal');
const PAIRS = 3;
const COMMITS = 200;
const SEGMENT_BYTES = 16 * 1024 * 1024;

/** Runs `work` beside a server of its own; its WAL is kept or not. */
async function open(mode, { synchronous = false, settings } = {}) {
  const root = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'dbkit-bench-wal-'));
  chmodSync(root, 0o755);
  const env = { ...process.env, DBKIT_WAL: mode, DBKIT_WAL_SYNCHRONOUS: String(synchronous), DBKIT_BACKUP_AFTER_START: 'false' };
  if (settings) {
    env.DBKIT_CONFIG = join(root, 'dbkit.json');
    writeFileSync(env.DBKIT_CONFIG, JSON.stringify({ postgresql: { settings: settings(root) } }));
  }
  const child = spawn(process.execPath, [dbkit, 'entrypoint', '--local', root, '--bin-dir', binDir], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  for (let waited = 0; !/PostgreSQL is ready/.test(said); waited += 50) {
    if (waited > 60_000 || child.exitCode !== null) throw new Error(`no server:\n${said}`);
    await sleep(50);
  }
  const status = spawnSync(process.execPath, [dbkit, 'status', '--json', '--local', root], { encoding: 'utf8' });
  const { port, dataDir, socketDir } = JSON.parse(status.stdout).report.services.find(({ name }) => name === 'postgresql').details;
  const stop = async () => {
    child.kill('SIGTERM');
    await new Promise((ended) => child.once('exit', ended));
    rmSync(root, { recursive: true, force: true });
  };
  return { root, pid: child.pid, port, socketDir, dataDir, stop };
}

const connect = async ({ socketDir: host, port }) => {
  const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
  await client.connect();
  return client;
};
const pgbench = ({ socketDir, port }, ...args) => {
  const { status, stdout, stderr } = spawnSync(
    join(binDir, 'pgbench'),
    ['-h', socketDir, '-p', String(port), '-U', 'postgres', ...args, 'postgres'],
    {
      encoding: 'utf8',
    },
  );
  if (status !== 0) throw new Error(stderr);
  return Number(/tps = ([\d.]+)/.exec(stdout)?.[1]);
};
/** Processor seconds of dbkit itself: utime and stime, proc(5). */
const cpuSeconds = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};
const archiveOf = ({ root }) => {
  const found = readdirSync(root, { recursive: true }).find((name) => /wal\/\d+\/archive\.json$/.test(name));
  return join(root, found, '..', '00000001');
};
/** Where the archive stands, in bytes of WAL. */
function endOf(folder) {
  const names = readdirSync(folder).filter((name) => /^[0-9A-F]{24}/.test(name));
  const last = names.sort().at(-1);
  const start = (Number.parseInt(last.slice(8, 16), 16) * 256 + Number.parseInt(last.slice(16, 24), 16)) * SEGMENT_BYTES;
  return last.endsWith('.tail') ? start + statSync(join(folder, last)).size : start + SEGMENT_BYTES;
}

async function latencies(kept) {
  const client = await connect(kept);
  await client.query('CREATE TABLE IF NOT EXISTS commits (id int)');
  const folder = archiveOf(kept);
  const took = [];
  for (let id = 0; id < COMMITS; id += 1) {
    await sleep(20 + Math.random() * 60);
    await client.query('INSERT INTO commits VALUES ($1)', [id]);
    const began = performance.now();
    const { rows } = await client.query(`SELECT (pg_current_wal_flush_lsn() - '0/0')::text AS lsn`);
    while (endOf(folder) < Number(rows[0].lsn)) await sleep(1);
    took.push(performance.now() - began);
  }
  await client.end();
  return took.sort((a, b) => a - b);
}

const [kept, bare, waiting] = [await open('tail'), await open('off'), await open('tail', { synchronous: true })];
const peers = [await receivewal(await open('off'), binDir)];
if (existsSync('/usr/bin/pgbackrest')) peers.push(backrest(await open('off', { settings: backrest.settings })));
const servers = [kept, bare, waiting, ...peers.map(({ server }) => server)];
try {
  for (const server of servers) pgbench(server, '-i', '-q', '-s', '10');
  const took = await latencies(kept);
  console.log(
    `commit to durable in the archive, ${COMMITS} commits: p50 ${took[COMMITS / 2].toFixed(0)} ms, p99 ${took[Math.floor(COMMITS * 0.99)].toFixed(0)} ms`,
  );
  for (const { name, latencies: ofPeer } of peers.filter((peer) => peer.latencies)) {
    const peerTook = await ofPeer(COMMITS);
    console.log(`  ${name}: p50 ${peerTook[COMMITS / 2].toFixed(0)} ms, p99 ${peerTook[Math.floor(COMMITS * 0.99)].toFixed(0)} ms`);
  }
  const [ratios, waits, costs] = [[], [], []];
  const ofPeers = new Map(peers.map(({ name }) => [name, { ratios: [], costs: [] }]));
  for (let pair = 0; pair < PAIRS; pair += 1) {
    const order = pair % 2 === 0 ? servers : [...servers].reverse();
    const tps = new Map();
    for (const server of order) {
      const folder = archiveOf(kept);
      const [cpu, end] = [cpuSeconds(server.pid), endOf(folder)];
      const peer = peers.find((one) => one.server === server);
      const before = await peer?.before?.();
      tps.set(server, pgbench(server, '-c', '8', '-T', seconds));
      if (peer?.cost) ofPeers.get(peer.name).costs.push(await peer.cost(before));
      if (server === kept) {
        await sleep(2_000);
        costs.push((cpuSeconds(server.pid) - cpu) / ((endOf(folder) - end) / 2 ** 30));
      }
    }
    ratios.push(tps.get(kept) / tps.get(bare));
    waits.push(tps.get(waiting) / tps.get(bare));
    for (const { name, server } of peers) ofPeers.get(name).ratios.push(tps.get(server) / tps.get(bare));
  }
  console.log(
    `pgbench -c 8: ${(100 * (1 - median(ratios))).toFixed(1)} % of the transactions lost, median of ${PAIRS} pairs (${ratios.map((one) => one.toFixed(3)).join(', ')})`,
  );
  console.log(`with wal.synchronous: ${(100 * (1 - median(waits))).toFixed(1)} % lost (${waits.map((one) => one.toFixed(3)).join(', ')})`);
  console.log(`processor time of dbkit: ${median(costs).toFixed(1)} s for 1 GiB of WAL`);
  for (const [name, peer] of ofPeers) {
    const cost = peer.costs.length > 0 ? `; ${median(peer.costs).toFixed(1)} s of processor time for 1 GiB` : '';
    console.log(
      `  ${name}: ${(100 * (1 - median(peer.ratios))).toFixed(1)} % lost (${peer.ratios.map((one) => one.toFixed(3)).join(', ')})${cost}`,
    );
  }
  const folder = archiveOf(kept);
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.zst'))
    .slice(0, 40);
  const began = performance.now();
  for (const name of names) {
    const { status } = spawnSync(shim, ['-d', join(folder, '../../..'), 'fetch', name.slice(0, 24), '/dev/shm/dbkit-bench-segment'], {
      cwd: kept.dataDir,
    });
    if (status !== 0) throw new Error(`fetch answers ${status}`);
  }
  console.log(`restore_command: ${((performance.now() - began) / names.length).toFixed(0)} ms a segment, of ${names.length}`);
  for (const { name, fetch } of peers.filter((peer) => peer.fetch)) {
    const { ms, count } = fetch(40);
    console.log(`  ${name}: ${ms.toFixed(0)} ms a segment, of ${count}`);
  }
} finally {
  for (const { close } of peers) await close?.();
  for (const server of servers) await server.stop();
  rmSync('/dev/shm/dbkit-bench-segment', { force: true });
}
