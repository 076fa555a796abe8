// What watching costs, on an instance that is well:
//   one check    wall time from spawn to exit, and processor time, in turn, of `node -e 0` (nothing at all), of the shell script that people write
//                (`psql` six times: connection, write, connections, long queries, replication, sizes), of Debian's check_postgres for the same six,
//                and of `dbkit health` and `dbkit monitor --once`, all probes, the application's login over TCP among them
//   one cycle    the same check in a monitor that stays, where nothing is loaded any more
//   idle         processor time and memory of `dbkit monitor` with its default interval
//   relations    one check and one cycle beside 10, 1,000 and 20,000 tables
// Usage: node bench/health.mjs [rounds] [idle minutes] [bin-dir, with psql]
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inTurn, median, printTable, timed } from './measure.mjs';

const rounds = Number(process.argv[2] ?? 20);
const idleMinutes = Number(process.argv[3] ?? 10);
const majors = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').map(Number) : [];
const binDir = process.argv[4] ?? `/usr/lib/postgresql/${Math.max(...majors)}/bin`;
const checkPostgres = ['/usr/bin/check_postgres', '/usr/bin/check_postgres.pl'].find((path) => existsSync(path));
const folder = mkdtempSync(join(tmpdir(), 'dbkit-bench-'));
chmodSync(folder, 0o755);
const local = [`--local=${join(folder, 'i')}`, `--bin-dir=${binDir}`];
const bin = resolve('bin/dbkit.js');
const dbkit = (...args) => spawnSync(process.execPath, [bin, ...args, ...local], { encoding: 'utf8', cwd: '/' });

/** Fields of proc(5)'s stat after the name: 11 and 12 are its own time, 13 and 14 its ended children's, in hundredths of a second. */
const statOf = (pid) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ').map(Number);
const childrenMs = () => 10 * (statOf('self')[13] + statOf('self')[14]);
const usedMs = (pid) =>
  10 *
  statOf(pid)
    .slice(11, 15)
    .reduce((sum, ticks) => sum + ticks, 0);
const memoryMiB = (pid, field) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

/** `dbkit monitor` in the background. */
async function watching(intervalSeconds, work) {
  const env = { ...process.env, HEALTH_CHECK_INTERVAL: String(intervalSeconds) };
  const child = spawn(process.execPath, [bin, 'monitor', ...local], { cwd: '/', env, stdio: 'ignore' });
  try {
    return await work(child.pid);
  } finally {
    child.kill('SIGTERM');
    await new Promise((ended) => child.once('exit', ended));
  }
}

/** Processor time of one check in a monitor that stays: the mean of those within `seconds`, after the first ones. */
async function cycleMs(stateDir, seconds) {
  const at = () => JSON.parse(readFileSync(join(stateDir, 'monitor.json'), 'utf8')).checkedAt;
  return watching(0.5, async (pid) => {
    await sleep(4_000);
    const before = usedMs(pid);
    let [checks, last] = [0, at()];
    for (const untilMs = performance.now() + seconds * 1000; performance.now() < untilMs; await sleep(50)) {
      const now = at();
      if (now !== last) checks += 1;
      last = now;
    }
    return (usedMs(pid) - before) / checks;
  });
}

const QUESTIONS = [
  'SELECT version()',
  'CREATE TABLE IF NOT EXISTS beat (id int PRIMARY KEY, at timestamptz); INSERT INTO beat VALUES (1, now()) ON CONFLICT (id) DO UPDATE SET at = excluded.at',
  'SELECT count(*) FROM pg_stat_activity',
  "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND now() - query_start > interval '5 min'",
  'SELECT count(*) FROM pg_stat_replication',
  'SELECT sum(pg_database_size(oid)) FROM pg_database',
];

/** check_postgres for the same six, each as its documentation has it. */
const ACTIONS = [
  ['connection'],
  ['custom_query', '--query=SELECT 1 AS result', '--critical=2', '--valtype=integer'],
  ['backends', '--warning=90%', '--critical=95%'],
  ['query_time', '--warning=5 minutes', '--critical=1 day'],
  ['txn_idle', '--warning=5 minutes', '--critical=1 day'],
  ['database_size', '--warning=1 TB', '--critical=2 TB'],
];

let failure;
try {
  const up = dbkit('up', '--detach', '--json');
  if (up.status !== 0) throw new Error(`the instance does not start:\n${up.stdout}${up.stderr}`);
  const { report } = JSON.parse(dbkit('config', 'show', '--json').stdout);
  const setting = (path) => report.settings.find((each) => each.path === path).value;
  const [socketDir, port, stateDir] = [setting('postgresql.socketDir'), String(setting('postgresql.port')), setting('stateDir')];
  const address = ['-qAtX', '-h', socketDir, '-p', port, '-U', 'postgres', 'postgres'];
  const ask = (sql) => spawnSync(join(binDir, 'psql'), [...address, '-c', sql], { encoding: 'utf8' });
  const quoted = (words) => words.map((word) => `'${word}'`).join(' ');
  const script = (commands) => commands.map((command) => `${command} >/dev/null || exit 2`).join('\n');
  const psql = script(QUESTIONS.map((sql) => `${quoted([join(binDir, 'psql'), ...address])} -c "${sql}"`));
  const perl = checkPostgres
    ? script(
        ACTIONS.map(([action, ...flags]) =>
          quoted([
            checkPostgres,
            `--action=${action}`,
            ...flags,
            `--host=${socketDir}`,
            `--port=${port}`,
            '--dbuser=postgres',
            '--dbname=postgres',
          ]),
        ),
      )
    : undefined;
  const contestants = [
    { name: 'node -e 0', run: () => spawnSync(process.execPath, ['-e', '0']) },
    { name: 'psql × 6', run: () => spawnSync('/bin/sh', ['-c', psql], { encoding: 'utf8' }) },
    ...(perl ? [{ name: 'check_postgres × 6', run: () => spawnSync('/bin/sh', ['-c', perl], { encoding: 'utf8' }) }] : []),
    { name: 'dbkit health', run: () => dbkit('health') },
    { name: 'dbkit monitor --once', run: () => dbkit('monitor', '--once') },
  ];
  if (!perl) console.log('check_postgres is not installed (apt-get install check-postgres): left out');
  const cpu = new Map(contestants.map(({ name }) => [name, []]));
  const measured = contestants.map(({ name, run }) => ({
    name,
    run: () =>
      timed(async () => {
        const before = childrenMs();
        const { status, stderr, stdout } = run();
        if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}${stdout}`);
        cpu.get(name).push(childrenMs() - before);
      }),
  }));
  printTable(`one health check, wall time, ${rounds} rounds in turn`, await inTurn(measured, rounds));
  printTable('the same, processor time, the server’s not counted', cpu);
  const inside = Array.from({ length: rounds }, () => JSON.parse(dbkit('health', '--json').stdout).report.durationMs);
  console.log(
    `\nthe check itself, without Node’s start and the loading (dbkit health --json, durationMs): ${median(inside).toFixed(0)} ms`,
  );
  console.log(`one cycle of a monitor that stays, processor time: ${(await cycleMs(stateDir, 10)).toFixed(1)} ms`);

  console.log('\nrelations: processor time of one check, its wall time, one cycle of a monitor');
  let tables = 0;
  for (const wanted of [10, 1_000, 20_000]) {
    for (; tables < wanted; tables = Math.min(wanted, tables + 500)) {
      const sql = `DO $$ BEGIN FOR i IN ${tables + 1}..${Math.min(wanted, tables + 500)} LOOP EXECUTE format('CREATE TABLE t%s (a int)', i); END LOOP; END $$`;
      const { status, stderr } = ask(sql);
      if (status !== 0) throw new Error(stderr);
    }
    ask('CHECKPOINT');
    const walls = [];
    const before = childrenMs();
    for (let round = 0; round < rounds; round += 1) walls.push(await timed(async () => dbkit('health')));
    const own = (childrenMs() - before) / rounds;
    const cycle = await cycleMs(stateDir, 10);
    console.log(
      `${String(wanted).padStart(8)} tables${own.toFixed(0).padStart(9)} ms${median(walls).toFixed(0).padStart(9)} ms${cycle.toFixed(1).padStart(9)} ms`,
    );
  }

  const { cpuMs, peakMiB, restMiB } = await watching(60, async (pid) => {
    await sleep(5_000); // Its first check loads what it needs.
    const begun = usedMs(pid);
    await sleep(idleMinutes * 60_000);
    return { cpuMs: usedMs(pid) - begun, peakMiB: memoryMiB(pid, 'VmHWM'), restMiB: memoryMiB(pid, 'VmRSS') };
  });
  console.log(
    `\nidle, a check a minute, ${idleMinutes} min with 20,000 tables: ${(cpuMs / 1000).toFixed(2)} s of processor time (${(cpuMs / (idleMinutes * 600)).toFixed(2)} % of a core), ${restMiB.toFixed(0)} MiB resident, ${peakMiB.toFixed(0)} MiB at most`,
  );
} catch (cause) {
  failure = cause;
} finally {
  dbkit('down');
  rmSync(folder, { recursive: true, force: true });
}
if (failure) throw failure;
