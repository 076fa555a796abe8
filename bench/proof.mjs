// What it costs that "lost: nothing" is proven:
//   every page   `dbkit inspect --deep` and `dbkit backup verify --against-data`, which hold each page against the backup and the WAL since, beside
//                `pg_checksums --check`, which reads the same pages and can see no older one; wall time, processor time, pages per second
//   after a kill `dbkit up` with a backup, and without one, beside a bare `postgres`, each on a copy of one cluster whose processes were all killed
//                under pgbench: time to the first answer; then how long the rest is read beside the server, and at what processor time
// Usage: node bench/proof.mjs [scale] [rounds] [bin-dir, with pgbench]     BENCH_DIR: a folder on the disk to measure (default: the temporary one)
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { costOf, inTurn, median, printCosts, printTable, timed } from './measure.mjs';

const scale = Number(process.argv[2] ?? 30);
const rounds = Number(process.argv[3] ?? 5);
const majors = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').map(Number) : [];
const binDir = process.argv[4] || `/usr/lib/postgresql/${Math.max(...majors)}/bin`;
const folder = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'dbkit-bench-'));
chmodSync(folder, 0o755);
const [home, killed] = [join(folder, 'i'), join(folder, 'killed')];
const bin = resolve('bin/dbkit.js');
const asServer = process.getuid() === 0 ? ['-u', 'postgres', '--'] : undefined;

function must(what, { status, stdout, stderr }, accepted = [0]) {
  if (!accepted.includes(status)) throw new Error(`${what} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}
const dbkit = (args, accepted) =>
  must(
    `dbkit ${args.join(' ')}`,
    spawnSync(process.execPath, [bin, ...args, `--local=${home}`, `--bin-dir=${binDir}`], { encoding: 'utf8', cwd: '/' }),
    accepted,
  );
const program = (name, ...args) => {
  const words = asServer ? ['runuser', ...asServer, join(binDir, name), ...args] : [join(binDir, name), ...args];
  return must(name, spawnSync(words[0], words.slice(1), { encoding: 'utf8', cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] }));
};
const copy = (from, to) => {
  rmSync(to, { recursive: true, force: true });
  must('cp', spawnSync('cp', ['-a', '--reflink=auto', from, to], { encoding: 'utf8' }));
  spawnSync('sync', ['-f', folder]);
};

/** Processor time of a process, in milliseconds; fields of proc(5)'s stat after the name. */
const usedMs = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ').map(Number);
  return 10 * (fields[11] + fields[12]);
};

let failure;
try {
  dbkit(['up', '--detach']);
  const { report } = JSON.parse(dbkit(['config', 'show', '--json']));
  const setting = (path) => report.settings.find((each) => each.path === path).value;
  const [dataDir, socketDir, port, backupDir, stateDir] = [
    'postgresql.dataDir',
    'postgresql.socketDir',
    'postgresql.port',
    'backupDir',
    'stateDir',
  ].map(setting);
  const address = ['-h', socketDir, '-p', String(port), '-U', 'postgres'];
  program('pgbench', '-iq', '-s', String(scale), ...address, 'postgres');
  dbkit(['backup', 'create']);
  program('pgbench', '-c', '4', '-T', '15', ...address, 'postgres');

  const supervisor = () => JSON.parse(readFileSync(join(stateDir, 'status.json'), 'utf8')).pid;
  const postmaster = () => Number(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0]);
  const pids = [supervisor(), postmaster()];
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  while (pids.some((pid) => existsSync(`/proc/${pid}`))) await sleep(50);
  await sleep(2_000); // Backends see that their postmaster is gone.
  copy(home, killed);

  const answer = () => program('psql', '-qAtX', ...address, '-c', 'SELECT 1', 'postgres');
  const beside = { ms: [], cpuMs: [] };
  const withDbkit = (prepare) => async () => {
    copy(killed, home);
    prepare();
    const ms = await timed(async () => {
      dbkit(['up', '--detach']);
      answer();
    });
    return ms;
  };
  const contestants = [
    {
      name: 'postgres',
      run: async () => {
        copy(killed, home);
        rmSync(join(dataDir, 'postmaster.pid'), { force: true });
        const ms = await timed(async () => {
          program('pg_ctl', '-s', '-w', '-t', '600', '-D', dataDir, '-l', '/dev/null', '-o', `-k ${socketDir} -p ${port}`, 'start');
          answer();
        });
        program('pg_ctl', '-s', '-w', '-m', 'fast', '-D', dataDir, 'stop');
        return ms;
      },
    },
    {
      name: 'dbkit, no backup',
      run: async () => {
        const ms = await withDbkit(() => rmSync(backupDir, { recursive: true, force: true }))();
        dbkit(['down']);
        return ms;
      },
    },
    {
      name: 'dbkit, a backup to hold pages against',
      run: async () => {
        const ms = await withDbkit(() => undefined)();
        const [pid, owed] = [supervisor(), join(dataDir, '.dbkit/proof-owed.json')];
        const before = usedMs(pid);
        beside.ms.push(
          await timed(async () => {
            while (existsSync(owed)) await sleep(50);
          }),
        );
        beside.cpuMs.push(usedMs(pid) - before);
        dbkit(['down']);
        return ms;
      },
    },
  ];
  printTable(`first answer after a kill, ${scale} × 100,000 accounts, ${rounds} rounds in turn`, await inTurn(contestants, rounds));
  console.log(
    `\nthe rest, beside the server: ${(median(beside.ms) / 1000).toFixed(1)} s, ${(median(beside.cpuMs) / 1000).toFixed(2)} s of processor time`,
  );

  let pages = 0;
  const readers = [
    { name: 'pg_checksums --check', run: () => costOf(async () => program('pg_checksums', '--check', '-D', dataDir)) },
    { name: 'dbkit inspect --deep', run: () => costOf(async () => dbkit(['inspect', '--deep'])) },
    { name: 'dbkit backup verify --against-data', run: () => costOf(async () => dbkit(['backup', 'verify', 'latest', '--against-data'])) },
  ];
  pages = JSON.parse(dbkit(['inspect', '--deep', '--json'])).report.deep.pages;
  const figures = await inTurn(readers, rounds);
  printCosts(`every page of ${pages}, a server that was shut down`, figures);
  for (const [name, costs] of figures) {
    const [wall, cpu] = ['ms', 'cpuMs'].map((what) => median(costs.map((cost) => cost[what])));
    console.log(
      `${name.padEnd(34)}${((1000 * pages) / wall).toFixed(0).padStart(9)} pages/s${((1000 * pages) / cpu).toFixed(0).padStart(9)} for a second of processor time`,
    );
  }
} catch (cause) {
  failure = cause;
} finally {
  spawnSync(process.execPath, [bin, 'down', `--local=${home}`, `--bin-dir=${binDir}`], { cwd: '/' });
  rmSync(folder, { recursive: true, force: true });
}
if (failure) throw failure;
