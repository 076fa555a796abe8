// How fast a recovering server is fed with WAL from a compressed archive: bin/dbkit-wal (with zstd(1), and without it, where Node unpacks and looks ahead)
// beside pgBackRest's asynchronous archive-get, plain zstd, cp of segments that nobody compressed, and WAL that lies in pg_wal already (nothing is fetched).
// In turn on copies of one data directory; from spawn to the first answer behind the end of the WAL. The segments are full: after each checkpoint every tenth
// row of pgbench's accounts is updated, so most of them are images of pages, which replay fast, and what is measured is the fetching.
// Usage: node bench/replay.mjs [segments] [rounds] [bin-dir] [names]     names: a regular expression, only contestants that it fits; PGBACKREST=PATH: that
// pgBackRest; BENCH_DIR: where to write, 25 MiB for each segment
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { costOf, inTurn, median, printCosts } from './measure.mjs';
import { newestPrograms, openThrowaway } from './throwaway.mjs';

const [wanted = 1000, rounds = 3] = process.argv.slice(2, 4).filter(Boolean).map(Number);
const binDir = process.argv[4] || newestPrograms();
const names = new RegExp(process.argv[5] ?? '');
const backrest = process.env.PGBACKREST ?? 'pgbackrest';
const SCALE = wanted < 50 ? 5 : 20; // So much of it is written between two checkpoints: 6 or 24 segments.
const MIB = 2 ** 20;

const throwaway = openThrowaway(binDir);
const { root, run, sql, at, own, emptied, serve, stop, dataDir, port } = throwaway;
const [plain, instances] = [own('plain'), own('instances')];
const isThere = (program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;
const hasBackrest = isThere(backrest);
const conf = join(root, 'backrest.conf');
const rest = [backrest, `--config=${conf}`, '--stanza=bench'];
/** The shell's own quoting inside a setting's. */
const quoted = (command) => `'${command.replaceAll("'", "''")}'`;

function configureBackrest() {
  const folders = ['repo1', 'spool', 'lock', 'log'].map((name) => `${name}-path=${own(`backrest-${name}`)}`);
  const lines = [
    ...folders,
    'compress-type=zst',
    'archive-async=y',
    'process-max=2',
    'log-level-console=warn',
    'log-level-file=off',
    ...(process.env.PGBACKREST ? [`cmd=${backrest}`] : []),
  ];
  const server = [`pg1-path=${dataDir}`, `pg1-port=${port}`, `pg1-socket-path=${throwaway.socketDir}`, 'pg1-user=postgres'];
  writeFileSync(conf, ['[global]', ...lines, '[bench]', ...server, ''].join('\n'));
  run(rest[0], [...rest.slice(1), 'stanza-create']);
}

const segments = () =>
  readdirSync(plain)
    .filter((name) => /^[0-9A-F]{24}$/.test(name))
    .sort();

/** WAL until there are as many segments as wanted, and all of them archived. */
async function writeWal() {
  for (let round = 0; segments().length < wanted; round += 1)
    sql('CHECKPOINT', `UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid % 10 = ${round % 10}`, 'VACUUM pgbench_accounts');
  sql('CREATE TABLE the_end AS SELECT 1 AS one');
  const last = sql('SELECT pg_walfile_name(pg_switch_wal())');
  while (sql('SELECT last_archived_wal FROM pg_stat_archiver') < last) await sleep(100);
}

/** The same segments as dbkit keeps them, and under plain names. */
function compress(systemIdentifier) {
  for (const folder of ['dbkit', 'dbkit/wal']) own(folder);
  const archive = own(`dbkit/wal/${systemIdentifier}`);
  own(`dbkit/wal/${systemIdentifier}/00000001`);
  own('zstd');
  writeFileSync(
    join(archive, 'archive.json'),
    `${JSON.stringify({ schema: 'dbkit.wal/v1', systemIdentifier, segmentSizeBytes: 16 * MIB })}\n`,
  );
  chmodSync(join(archive, 'archive.json'), 0o644);
  run('sh', ['-c', 'for s in "$0"/*; do zstd -q -1 "$s" -o "$1/$(basename "$s").zst" || exit 1; done', plain, join(root, 'zstd')]);
  for (const name of segments()) {
    const sha16 = createHash('sha256')
      .update(readFileSync(join(plain, name)))
      .digest('hex')
      .slice(0, 16);
    run('ln', [join(root, 'zstd', `${name}.zst`), join(archive, '00000001', `${name}-${sha16}.zst`)]);
  }
  return archive;
}

/** A PATH that has everything but zstd(1). */
function pathWithoutZstd() {
  const folder = own('programs');
  for (const from of new Set([dirname(process.execPath), '/usr/bin']))
    for (const name of readdirSync(from)) if (!/zstd/.test(name)) spawnSync('ln', ['-sfn', join(from, name), join(folder, name)]);
  return folder;
}

/** Processor time of what works beside the replay, pgBackRest's and dbkit-wal's, which are nobody's children: what was last seen of each. */
function watchAsync() {
  const seen = new Map();
  const look = () => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        if (!words.includes(root)) continue;
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ').map(Number);
        const isBeside = /archive-get:async/.test(words) || (/dbkit-wal/.test(words) && fields[1] === 1);
        if (isBeside) seen.set(pid, 10 * (fields[11] + fields[12] + fields[13] + fields[14]));
      } catch {} // It has ended.
  };
  const timer = setInterval(look, 50);
  return () => {
    clearInterval(timer);
    return [...seen.values()].reduce((sum, ms) => sum + ms, 0);
  };
}

let serial = 0;
async function recover({ name, command, laid = false }) {
  serial += 1;
  const target = join(instances, String(serial));
  run('cp', ['-a', join(instances, 'base'), target]);
  if (laid) run('sh', ['-c', 'cp "$0"/* "$1"/', plain, join(target, 'pg_wal')]);
  for (const old of ['spool', 'lock']) emptied(`backrest-${old}`);
  writeFileSync(join(target, 'recovery.signal'), '');
  appendFileSync(join(target, 'postgresql.auto.conf'), `restore_command = ${quoted(command)}\nhot_standby = off\narchive_mode = off\n`);
  const asynchronous = watchAsync();
  const cost = await costOf(async () => {
    const server = await serve(target, port + 1, { question: 'SELECT one FROM the_end' });
    await stop(server);
  });
  cost.cpuMs += asynchronous();
  rmSync(target, { recursive: true, force: true });
  if (process.env.BENCH_VERBOSE) console.log(name, cost);
  return cost;
}

const contestants = (shim, path) => [
  { name: 'in pg_wal already', command: 'false', laid: true },
  { name: 'cp, not compressed', command: `cp ${plain}/%f "%p"` },
  { name: 'zstd', command: `zstd -dqc ${root}/zstd/%f.zst > "%p"` },
  { name: 'dbkit-wal fetch', command: `${shim} -d ${root}/dbkit fetch %f "%p"` },
  { name: 'dbkit-wal fetch without zstd', command: `PATH=${path} ${shim} -d ${root}/dbkit fetch %f "%p"` },
  ...(hasBackrest ? [{ name: 'pgBackRest archive-get async', command: `${rest.join(' ')} --pg1-path="$PWD" archive-get %f "%p"` }] : []),
];

try {
  if (!hasBackrest) console.log('pgBackRest is not installed, and left out');
  throwaway.init('archive_mode = on', "archive_command = '/bin/true'");
  let server = await serve(dataDir, port);
  run(join(binDir, 'pgbench'), [...at(), '-i', '-q', '-s', String(SCALE), 'postgres']);
  await stop(server);
  run('cp', ['-a', dataDir, join(instances, 'base')]);
  server = await serve(dataDir, port);
  if (hasBackrest) configureBackrest();
  const push = hasBackrest ? ` && ${rest.join(' ')} archive-push %p` : '';
  sql(`ALTER SYSTEM SET archive_command = ${quoted(`cp %p ${plain}/%f${push}`)}`, 'SELECT pg_reload_conf()');
  await writeWal();
  const systemIdentifier = sql('SELECT system_identifier FROM pg_control_system()');
  await stop(server);
  const archive = compress(systemIdentifier);
  const count = segments().length;
  const kept = run('du', ['-sm', archive]).split('\t')[0];
  console.log(
    `${count} segments, ${(count * 16) / 1024} GiB, ${kept} MiB compressed; ${rounds} rounds in turn after one that does not count`,
  );
  const shim = resolve('bin/dbkit-wal');
  const figures = await inTurn(
    contestants(shim, pathWithoutZstd())
      .filter(({ name }) => names.test(name))
      .map((one) => ({ name: one.name, run: () => recover(one) })),
    rounds,
  );
  printCosts('from spawn to the first answer, and a clean stop', figures);
  const laid = figures.get('in pg_wal already');
  const base = laid && median(laid.map(({ ms }) => ms));
  for (const [name, costs] of figures) {
    const ms = median(costs.map((cost) => cost.ms));
    const fetching = base === undefined ? '' : `; ${((ms - base) / count).toFixed(0)} ms a segment for the fetching`;
    console.log(`${name.padEnd(34)}${(count / (ms / 1000)).toFixed(1)} segments a second${fetching}`);
  }
} finally {
  await throwaway.close();
}
