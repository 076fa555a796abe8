// What one check costs: wall time from spawn to exit, and processor time, of
//   node -e 0   nothing at all
//   psql × 6    the shell script that people write: connection, write, connections, long queries, replication, sizes
//   dbkit       `dbkit health`, all probes, the application's login over TCP among them
// in turn, on an instance that is well. Usage: node bench/health.mjs [rounds] [bin-dir, with psql]
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { inTurn, printTable, timed } from './measure.mjs';

const rounds = Number(process.argv[2] ?? 20);
const majors = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').map(Number) : [];
const binDir = process.argv[3] ?? `/usr/lib/postgresql/${Math.max(...majors)}/bin`;
const folder = mkdtempSync(join(tmpdir(), 'dbkit-bench-'));
chmodSync(folder, 0o755);
const local = [`--local=${join(folder, 'i')}`, `--bin-dir=${binDir}`];
const dbkit = (...args) => spawnSync(process.execPath, [resolve('bin/dbkit.js'), ...args, ...local], { encoding: 'utf8', cwd: '/' });

/** What all children so far have used: fields 16 and 17 of proc(5)'s stat, in hundredths of a second. */
const childrenMs = () => {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1).split(' ');
  return 10 * (Number(fields[13]) + Number(fields[14]));
};

const QUESTIONS = [
  'SELECT version()',
  'CREATE TABLE IF NOT EXISTS beat (id int PRIMARY KEY, at timestamptz); INSERT INTO beat VALUES (1, now()) ON CONFLICT (id) DO UPDATE SET at = excluded.at',
  'SELECT count(*) FROM pg_stat_activity',
  "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND now() - query_start > interval '5 min'",
  'SELECT count(*) FROM pg_stat_replication',
  'SELECT sum(pg_database_size(oid)) FROM pg_database',
];

let failure;
try {
  const up = dbkit('up', '--detach', '--json');
  if (up.status !== 0) throw new Error(`the instance does not start:\n${up.stdout}${up.stderr}`);
  const { report } = JSON.parse(dbkit('config', 'show', '--json').stdout);
  const setting = (path) => report.settings.find((each) => each.path === path).value;
  const address = ['-qAtX', '-h', setting('postgresql.socketDir'), '-p', String(setting('postgresql.port')), '-U', 'postgres', 'postgres'];
  const psql = QUESTIONS.map(
    (sql) => `'${join(binDir, 'psql')}' ${address.map((word) => `'${word}'`).join(' ')} -c "${sql}" || exit 2`,
  ).join('\n');
  const contestants = [
    { name: 'node -e 0', run: () => spawnSync(process.execPath, ['-e', '0']) },
    { name: 'psql × 6', run: () => spawnSync('/bin/sh', ['-c', psql]) },
    { name: 'dbkit health', run: () => dbkit('health') },
  ];
  const cpu = new Map(contestants.map(({ name }) => [name, 0]));
  const measured = contestants.map(({ name, run }) => ({
    name,
    run: () =>
      timed(async () => {
        const before = childrenMs();
        const { status, stderr } = run();
        if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`);
        cpu.set(name, cpu.get(name) + childrenMs() - before);
      }),
  }));
  printTable(`one health check, ${rounds} rounds in turn`, await inTurn(measured, rounds));
  console.log('\nprocessor time of one run, the server’s not counted (mean)');
  for (const [name, totalMs] of cpu) console.log(`${name.padEnd(34)}${(totalMs / (rounds + 1)).toFixed(0).padStart(7)} ms`);
} catch (cause) {
  failure = cause;
} finally {
  dbkit('down');
  rmSync(folder, { recursive: true, force: true });
}
if (failure) throw failure;
