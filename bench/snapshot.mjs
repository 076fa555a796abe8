// Snapshots of one database: dbkit beside DSLR's own statements (github.com/mixxorz/DSLR, dslr/operations.py) and beside `createdb -T`, in turn, on
// one server. DSLR restores by dropping the database; dbkit keeps what was there.
// Usage: node bench/snapshot.mjs [scale] [rounds] [bin-dir]     scale 66 is about 1 GB of pgbench
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inTurn, printTable, timed } from './measure.mjs';

const newest = () =>
  readdirSync('/usr/lib/postgresql')
    .map(Number)
    .sort((a, b) => b - a)[0];
const [scale = '66', rounds = '3', binDir = `/usr/lib/postgresql/${newest()}/bin`] = process.argv.slice(2);
const dbkit = resolve('bin/dbkit.js');
/** Embedded packages bring no psql and no pgbench: then those in PATH, of another version as it may be. */
const tool = (name) => (existsSync(join(binDir, name)) ? join(binDir, name) : name);
const root = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'dbkit-bench-snapshot-'));
chmodSync(root, 0o755);

function run(file, args) {
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}: ${status}\n${stdout}${stderr}`);
  return stdout;
}
const ours = (...args) => run(process.execPath, [dbkit, ...args, '--local', root, '--bin-dir', binDir]);

const child = spawn(process.execPath, [dbkit, 'entrypoint', '--local', root, '--bin-dir', binDir], {
  env: { ...process.env, DBKIT_WAL: 'off', DBKIT_BACKUP_AFTER_START: 'false' },
  stdio: ['ignore', 'ignore', 'pipe'],
});
let said = '';
child.stderr.on('data', (chunk) => {
  said += chunk;
});
try {
  for (let waited = 0; !/PostgreSQL is ready/.test(said); waited += 50) {
    if (waited > 60_000 || child.exitCode !== null) throw new Error(`no server:\n${said}`);
    await sleep(50);
  }
  const { port, socketDir } = JSON.parse(ours('status', '--json')).report.services.find(({ name }) => name === 'postgresql').details;
  const at = ['-h', socketDir, '-p', String(port), '-U', 'postgres'];
  const sql = (...statements) =>
    run(tool('psql'), [...at, '-qAtX', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres', ...statements.flatMap((text) => ['-c', text])]).trim();
  const fill = (name) => {
    sql(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`, `CREATE DATABASE ${name}`);
    run(tool('pgbench'), [...at, '-i', '-q', '-s', scale, name]);
  };
  for (const name of ['ours', 'theirs']) fill(name);
  sql('CHECKPOINT');
  const kill = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'theirs'`;
  const drop = (like) => {
    for (const name of sql(`SELECT datname FROM pg_database WHERE datname LIKE '${like}'`).split('\n').filter(Boolean))
      sql(`DROP DATABASE "${name}"`);
  };
  const forget = () => {
    const names = JSON.parse(ours('snapshot', 'list', '--json')).report.snapshots?.map(({ name }) => name) ?? [];
    for (const name of names) ours('snapshot', 'delete', name, '--database', 'ours', '--yes');
    drop('ours\\_%');
    drop('dslr%');
    sql('CHECKPOINT');
  };
  const megabytes = Math.round(Number(sql("SELECT pg_database_size('ours')")) / 1e6);
  console.log(
    `PostgreSQL ${sql('SHOW server_version')}, a database of ${megabytes} MB, ${rounds} rounds in turn after one that does not count`,
  );
  const save = [
    { name: 'DSLR’s statements (psql)', work: () => sql(kill, 'CREATE DATABASE dslr_1_one TEMPLATE theirs') },
    { name: 'createdb -T, FILE_COPY', work: () => sql('CREATE DATABASE dslr_2_two TEMPLATE theirs STRATEGY = FILE_COPY') },
    { name: 'dbkit snapshot save', work: () => ours('snapshot', 'save', 'one', '--database', 'ours') },
  ];
  const restore = [
    {
      name: 'DSLR’s statements (psql)',
      before: () => sql('CREATE DATABASE dslr_1_one TEMPLATE theirs STRATEGY = FILE_COPY'),
      work: () => sql(kill, 'DROP DATABASE theirs', 'CREATE DATABASE theirs TEMPLATE dslr_1_one'),
    },
    {
      name: 'dbkit snapshot restore',
      before: () => ours('snapshot', 'save', 'one', '--database', 'ours'),
      work: () => ours('snapshot', 'restore', 'one', '--database', 'ours', '--yes'),
    },
  ];
  for (const [title, contestants] of [
    ['save', save],
    ['restore', restore],
  ])
    printTable(
      title,
      await inTurn(
        contestants.map(({ name, before, work }) => ({
          name,
          run: async () => {
            forget();
            before?.();
            return timed(async () => work());
          },
        })),
        Number(rounds),
      ),
    );
} finally {
  child.kill('SIGTERM');
  await new Promise((ended) => child.once('exit', ended));
  rmSync(root, { recursive: true, force: true });
}
