// What a cluster loses to each disaster, and for how long nobody can write: dbkit beside Patroni without dbkit (the same files, no guard, no PAUSE of
// PgBouncer), both at the same time, each on a local cluster of three members in synchronous mode. `dbkit ha drill` measures both: clients note what
// was acknowledged, every server is asked ten times a second whether it takes writes. Then planned switchovers under pgbench, in turn on one cluster.
// Usage: node bench/failover.mjs [trials] [sections] [folder]
//   sections: up, the names of drills, leader-node@10 (another ttl), pgbench (default: all); the folder keeps every trial, one JSON line each
import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from './measure.mjs';

/** A drill, perhaps with another ttl, and what the median of its longest time without a commit (`p50`), or every one (`all`), may be. */
const DRILLS = [
  { section: 'leader-node', p50: 20 },
  { section: 'leader-node@10', p50: 12 },
  { section: 'postmaster' },
  { section: 'patroni-killed', all: 10 },
  { section: 'patroni-hung', all: 10 },
  { section: 'freeze' },
  { section: 'etcd-down' },
  { section: 'partition' },
  { section: 'replica-lost' },
  { section: 'cold-start' },
  { section: 'switchover-under-load', errors: 0 },
];
const trials = Number(process.argv[2] || 6);
const sections = process.argv[3]?.split(',') ?? ['up', ...DRILLS.map(({ section }) => section), 'pgbench'];
const SWITCHOVERS = 10;
const UPS = 3;
const CLIENTS = 10;
const dbkit = resolve('bin/dbkit.js');
const root = process.argv[4] ? resolve(process.argv[4]) : mkdtempSync(join(tmpdir(), 'dbkit-ha-'));
mkdirSync(root, { recursive: true });
chmodSync(root, 0o755); // The servers' user works below it.
if (!process.argv[4]) process.on('exit', () => rmSync(root, { recursive: true, force: true }));

/** Runs dbkit; its document, or what it said where it printed none. */
async function kit(place, words, environment = {}) {
  const child = spawn(process.execPath, [dbkit, ...words, '--json', '--yes'], {
    cwd: root,
    env: { PATH: process.env.PATH, DBKIT_STATE_DIR: join(root, place), ...environment }, // A state folder is all that a drill needs.
  });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].on('data', (chunk) => (said[name] += chunk));
  await new Promise((done) => child.once('close', done));
  try {
    return JSON.parse(said.stdout);
  } catch {
    return { ok: false, failure: { message: said.stderr.trim().split('\n').at(-1) } };
  }
}

const local = (place, verb, ...words) => kit(place, ['ha', verb, ...words, '--local', join(root, place)]);

const sides = [
  { name: 'dbkit', place: 'd', port: 15_800, flags: [] },
  { name: 'Patroni alone', place: 'p', port: 15_900, flags: ['--no-guard'] },
];

/** Every trial is kept by dbkit as soon as it is over, so one that does not come to its end costs no other. */
async function rehearse({ place, port, flags }, section) {
  const [drill, ttl] = section.split('@');
  const kept = join(root, place, 'ha-trials');
  const known = () => (existsSync(kept) ? readdirSync(kept) : []).filter((name) => name.endsWith('.json'));
  const before = new Set(known());
  const fresh = () => known().filter((name) => !before.has(name));
  const unfinished = [];
  while (fresh().length < trials && unfinished.length < 2) {
    const left = String(trials - fresh().length);
    const words = ['ha', 'drill', drill, '--trials', left, '--first-port', String(port), ...flags];
    const { ok, failure } = await kit(place, words, ttl ? { FAILOVER_TIMEOUT: ttl } : {});
    if (!ok) unfinished.push(failure.message);
  }
  return { unfinished, done: fresh().map((name) => JSON.parse(readFileSync(join(kept, name), 'utf8'))) };
}

const spread = (figures) =>
  figures.length === 0 ? '-' : `${median(figures).toFixed(1)} / ${Math.min(...figures).toFixed(1)} to ${Math.max(...figures).toFixed(1)}`;
const worst = ({ rtoSeconds }) => Math.max(...Object.values(rtoSeconds));
const sum = (figures) => figures.reduce((total, figure) => total + figure, 0);
const HEADING = ['', 'n', 'no commit: p50 / from to', 'two writable', 'lost of acked', 'errors', 'whole after'];
const WIDTHS = [26, 5, 28, 20, 16, 10, 24];
const line = (cells) => console.log(cells.map((cell, index) => String(cell).padEnd(WIDTHS[index])).join(''));

function row(name, done) {
  const lost = `${sum(done.map(({ lostRows }) => lostRows))} of ${sum(done.map(({ ackedRows }) => ackedRows))}`;
  const whole = done.map(({ redundantSeconds }) => redundantSeconds).filter((figure) => figure !== null);
  const never = done.length - whole.length;
  line([
    `  ${name}`,
    done.length,
    spread(done.map(worst)),
    spread(done.map(({ twoWritableSeconds }) => twoWritableSeconds)).replace(/\.0\b/g, ''),
    lost,
    sum(done.map(({ errors }) => errors)),
    `${spread(whole)}${never ? `, ${never} never` : ''}`,
  ]);
}

const misses = [];
/** Says so where dbkit misses what was aimed at. */
function judge({ section, p50, all, errors }, done) {
  const miss = (words) => misses.push(`${section}: ${words}`);
  if (done.length === 0) return miss('no trial came to its end');
  const figures = done.map(worst);
  if (p50 && median(figures) > p50) miss(`p50 is ${median(figures).toFixed(1)} s, and ${p50} s is the aim`);
  if (all && Math.max(...figures) > all) miss(`the longest is ${Math.max(...figures).toFixed(1)} s, and ${all} s is the aim`);
  if (sum(done.map((one) => one.lostRows)) > 0) miss('acknowledged rows are gone');
  const two = Math.max(...done.map((one) => one.twoWritableSeconds));
  if (two > (section === 'freeze' ? 0.5 : 0)) miss(`two servers took writes for ${two} s`);
  if (errors !== undefined && sum(done.map((one) => one.errors)) > errors) miss('clients saw errors');
}

const all = { trials: 0, lost: 0, acked: 0 };
async function contest(drill) {
  const results = await Promise.all(sides.map((side) => rehearse(side, drill.section)));
  console.log(`${drill.section}, load ${loadavg()[0].toFixed(1)}`);
  for (const [index, { name }] of sides.entries()) {
    const { done, unfinished } = results[index];
    row(name, done);
    for (const words of unfinished) console.log(`    one did not come to its end: ${words}`);
    for (const one of done) appendFileSync(join(root, 'trials.jsonl'), `${JSON.stringify({ section: drill.section, ...one })}\n`);
  }
  const [{ done }] = results;
  all.trials += done.length;
  all.lost += sum(done.map(({ lostRows }) => lostRows));
  all.acked += sum(done.map(({ ackedRows }) => ackedRows));
  judge(drill, done);
}

/** From nothing to an acknowledged commit and every replica streaming. */
async function ups() {
  const figures = [];
  for (let round = 0; round < UPS; round += 1) {
    const { ok, report, failure } = await local(`u${round}`, 'up', '--first-port', '16000');
    await local(`u${round}`, 'down');
    rmSync(join(root, `u${round}`), { recursive: true, force: true });
    if (ok) figures.push(report.seconds);
    else misses.push(`up: ${failure.message}`);
  }
  console.log(`ha up --local, from nothing: ${spread(figures)} s`);
  if (Math.max(...figures) > 120) misses.push('up: longer than two minutes');
}

/** pgbench in front of PgBouncer, and a planned switchover meanwhile; resolves with the clients that gave up and the transactions that failed. */
async function underLoad({ port, password, move }) {
  const args = ['-h', '127.0.0.1', '-p', String(port + 7), '-U', 'postgres', '-n', '-c', String(CLIENTS), '-j', '2', '-T', '60', '-P', '1'];
  const bench = spawn('pgbench', [...args, 'postgres'], { env: { PATH: process.env.PATH, PGPASSWORD: password } });
  let said = '';
  for (const name of ['stdout', 'stderr']) bench[name].on('data', (chunk) => (said += chunk));
  const over = new Promise((done) => bench.once('close', done));
  let isOver = false;
  void over.then(() => {
    isOver = true;
  });
  while (!/progress: [34]\./.test(said) && !isOver) await sleep(100);
  const begun = performance.now();
  await move();
  const seconds = (performance.now() - begun) / 1000;
  const wasInTime = !isOver || /aborted/.test(said);
  await over;
  const [latency] = [...said.matchAll(/lat ([\d.]+) ms stddev/g)].map(([, ms]) => Number(ms)).sort((a, b) => b - a);
  return {
    seconds,
    wasInTime,
    aborted: [...said.matchAll(/client \d+ (script \d+ )?aborted/g)].length,
    failed: Number(/number of failed transactions: (\d+)/.exec(said)?.[1] ?? 0),
    transactions: Number(/number of transactions actually processed: (\d+)/.exec(said)?.[1] ?? 0),
    worstSecondMs: latency ?? null,
  };
}

async function switchovers() {
  const port = 16_000;
  const up = await local('b', 'up', '--first-port', String(port));
  if (!up.ok) return void misses.push(`pgbench: ${up.failure.message}`);
  const { password } = JSON.parse(readFileSync(join(up.report.folder, 'cluster.json'), 'utf8'));
  execFileSync('pgbench', ['-h', '127.0.0.1', '-p', String(port + 5), '-U', 'postgres', '-i', '-q', '-s', '5', 'postgres'], {
    env: { PATH: process.env.PATH, PGPASSWORD: password },
    stdio: 'ignore',
  });
  const well = async () => {
    for (let tries = 0; tries < 60; tries += 1) {
      const { report } = await local('b', 'check');
      if (report?.status === 'ok') return;
      await sleep(1_000);
    }
  };
  const alone = async () => {
    const { report } = await local('b', 'status');
    const api = `http://127.0.0.1:${port + 20 + Number(report.leader.slice(1))}`;
    await fetch(`${api}/switchover`, { method: 'POST', body: JSON.stringify({ leader: report.leader }) }).catch(() => undefined);
  };
  const contestants = [
    { name: 'dbkit', move: () => local('b', 'switchover') },
    { name: 'Patroni alone', move: alone },
  ];
  const figures = new Map(contestants.map(({ name }) => [name, []]));
  for (let round = 0; round < SWITCHOVERS; round += 1)
    for (const { name, move } of contestants) {
      await well();
      const one = await underLoad({ port, password, move });
      figures.get(name).push(one);
      appendFileSync(join(root, 'trials.jsonl'), `${JSON.stringify({ section: 'pgbench', name, ...one })}\n`);
    }
  await local('b', 'down');
  console.log(`a planned switchover under pgbench, ${CLIENTS} clients through PgBouncer, load ${loadavg()[0].toFixed(1)}`);
  for (const [name, done] of figures) {
    const clean = done.filter(({ aborted, failed, wasInTime }) => aborted === 0 && failed === 0 && wasInTime).length;
    console.log(
      `  ${name.padEnd(24)}${clean} of ${done.length} without an error; clients that gave up: ${done.map(({ aborted }) => aborted).join(' ')}; failed transactions: ${done.map(({ failed }) => failed).join(' ')}; seconds: ${spread(done.map(({ seconds }) => seconds))}`,
    );
    if (name === 'dbkit' && clean < SWITCHOVERS) misses.push(`pgbench: ${clean} of ${SWITCHOVERS} without an error`);
  }
}

console.log(
  `${new Date().toISOString()}, load ${loadavg()
    .map((one) => one.toFixed(1))
    .join(' ')}, ${execFileSync('patroni', ['--version'], { encoding: 'utf8' }).trim()}`,
);
if (sections.includes('up')) await ups();
console.log('seconds; without a commit at the address that waited longest');
line(HEADING);
for (const drill of DRILLS) if (sections.includes(drill.section)) await contest(drill);
if (all.trials > 0) console.log(`dbkit, all ${all.trials} trials: ${all.lost} of ${all.acked} acknowledged rows are gone`);
if (sections.includes('pgbench')) await switchovers();
for (const words of misses) console.log(`missed: ${words}`);
console.log(
  `${new Date().toISOString()}, load ${loadavg()
    .map((one) => one.toFixed(1))
    .join(' ')}`,
);
