// What backups cost: dbkit beside cp -a, pg_basebackup and pgBackRest (as installed, and tuned), on one running server, in turn, in one run.
// Usage: node bench/backup.mjs [scale] [rounds] [bin-dir] [sections]     scale 100 is about 2.5 GB: pgbench, and a table of random bytes half its
// size; sections: floor,full,again,verify,restore,repository,tps (default: all). PGBACKREST_BLOCKS names a pgBackRest of 2.46 or later: it runs with blocks.
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { costOf, inTurn, median, printCosts } from './measure.mjs';
import { peersIn } from './peers.mjs';

const scale = Number(process.argv[2] ?? 100);
const rounds = Number(process.argv[3] ?? 3);
const binDir =
  process.argv[4] ||
  `/usr/lib/postgresql/${
    readdirSync('/usr/lib/postgresql')
      .map(Number)
      .sort((a, b) => b - a)[0]
  }/bin`;
const wanted = process.argv[5]?.split(',');
const isWanted = (section) => wanted?.includes(section) ?? true;
const isRoot = process.getuid() === 0;
const identity = isRoot ? lookup('postgres') : {};
const root = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'dbkit-bench-'));
chmodSync(root, 0o755);
const port = 20_000 + (process.pid % 20_000);

function lookup(name) {
  const [, , uid, gid] = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`${name}:`))
    .split(':');
  return { uid: Number(uid), gid: Number(gid) };
}
function own(name, isPath = false) {
  const path = isPath ? name : join(root, name);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (isRoot) chownSync(path, identity.uid, identity.gid);
  return path;
}
function run(file, args) {
  const { status, stdout, stderr, error } = spawnSync(file, args, {
    ...identity,
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1024 ** 3,
    env: { PATH: process.env.PATH, HOME: root },
  });
  if (error || status !== 0) throw new Error(`${file} ${args.join(' ')}: ${error?.message ?? `${status}\n${stdout}${stderr}`}`);
  return stdout;
}

const dataDir = own('data');
const socketDir = own('run');
const at = ['-h', socketDir, '-p', String(port), '-U', 'postgres'];
const sql = (...statements) =>
  run(join(binDir, 'psql'), [...at, '-qAtX', '-v', 'ON_ERROR_STOP=1', ...statements.flatMap((text) => ['-c', text])]);
const settings = [
  'wal_init_zero=off',
  'wal_keep_size=4GB',
  'max_wal_size=8GB',
  'shared_buffers=256MB',
  'checkpoint_timeout=1h',
  'autovacuum=off',
];
const started = [];

/** Parts of a backup by Node that writes SHA-256 into its manifest: its start, a session that begins a backup and ends it, the changed file's digest. */
function floor() {
  const [largest, bytes] = readdirSync(join(dataDir, 'base'), { recursive: true })
    .map((name) => [join(dataDir, 'base', name), statSync(join(dataDir, 'base', name)).size])
    .reduce((a, b) => (b[1] > a[1] ? b : a));
  const pg = JSON.stringify(import.meta.resolve('pg'));
  const session = `const { default: pg } = await import(${pg}); const client = new pg.Client(${JSON.stringify({ host: socketDir, port, user: 'postgres' })});
    await client.connect(); await client.query("SELECT pg_backup_start('floor', true)"); await client.query('SELECT pg_backup_stop(false)'); await client.end();`;
  const digest = `import { openSync, readSync } from 'node:fs'; import { createHash } from 'node:crypto'; const hash = createHash('sha256');
    const [file, piece] = [openSync(${JSON.stringify(largest)}), Buffer.alloc(131072)];
    for (let read; (read = readSync(file, piece)) > 0; ) hash.update(piece.subarray(0, read)); hash.digest();`;
  const node = (code) => () => run(process.execPath, ['--input-type=module', '-e', code]);
  return [
    { name: 'node -e 0', run: () => run(process.execPath, ['-e', '0']) },
    { name: 'node, a session of a backup', run: node(session) },
    { name: `node, SHA-256 of ${(bytes / 1e6).toFixed(0)} MB`, run: node(digest) },
  ];
}

/** Starts a server and waits for its first answer. */
async function serve(directory, ownPort) {
  const args = [
    '-D',
    directory,
    '-c',
    `port=${ownPort}`,
    '-c',
    `unix_socket_directories=${socketDir}`,
    '-c',
    'listen_addresses=',
    ...(directory === dataDir ? ['-c', 'archive_mode=on'] : ['-c', 'archive_mode=off']),
  ];
  const server = spawn(join(binDir, 'postgres'), [...args, ...settings.flatMap((setting) => ['-c', setting])], {
    ...identity,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  server.stderr.on('data', (chunk) => (said = (said + chunk).slice(-2_000)));
  started.push(server);
  const question = ['-h', socketDir, '-p', String(ownPort), '-U', 'postgres', '-qAtXc', 'SELECT count(*) FROM pgbench_branches'];
  while (spawnSync(join(binDir, 'psql'), question, { ...identity }).status !== 0) {
    if (server.exitCode !== null) throw new Error(`the server on ${directory} does not start: ${said}`);
    if (directory === dataDir && spawnSync(join(binDir, 'pg_isready'), at).status === 0) break;
    await sleep(5);
  }
  return server;
}
const stop = (server) =>
  new Promise((done) => {
    server.once('exit', done);
    server.kill('SIGINT');
  });
const usage = (path) => {
  const [size] = run('du', ['-s', '--block-size=1', path]).split('\t');
  return { bytes: Number(size), files: Number(run('sh', ['-c', 'find "$0" -type f | wc -l', path])) };
};
/** Updates everywhere: the pages are all over the tables. */
const spread = () => {
  run(join(binDir, 'pgbench'), [...at, '-n', '-N', '-c', '2', '-t', '2000', 'postgres']);
  sql('CHECKPOINT');
};
const touch = () => sql(`UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid <= ${scale * 1000}`, 'CHECKPOINT');

/** How many pages of relations the WAL of a change names. */
function changedBy(change) {
  const lsn = () => sql('SELECT pg_current_wal_flush_lsn()').trim();
  const from = lsn();
  change();
  const to = lsn();
  if (from === to) return 0;
  const said = run(join(binDir, 'pg_waldump'), ['-p', join(dataDir, 'pg_wal'), '-s', from, '-e', to]);
  return new Set(said.match(/rel \d+\/\d+\/\d+(?: fork \w+)? blk \d+/g)).size;
}

/** pgBackRest keeps no WAL with a backup: the server archives for it, into its repositories, while the restores are prepared. */
async function archive(peers) {
  const archiving = peers.filter((peer) => peer.archive);
  sql(
    `ALTER SYSTEM SET archive_command = '${archiving.map((peer) => peer.archive()).join(' && ') || '/bin/true'}'`,
    'SELECT pg_reload_conf()',
  );
  for (const peer of archiving) peer.full();
  const last = sql('CHECKPOINT', 'SELECT pg_walfile_name(pg_switch_wal())').trim();
  while (sql('SELECT last_archived_wal FROM pg_stat_archiver').trim() < last) await sleep(100);
  sql("ALTER SYSTEM SET archive_command = '/bin/true'", 'SELECT pg_reload_conf()');
  for (const peer of archiving) peer.archived?.();
}

try {
  run(join(binDir, 'initdb'), ['-D', dataDir, '-U', 'postgres', '--data-checksums', '--no-sync', '-A', 'trust']);
  appendFileSync(join(dataDir, 'postgresql.conf'), "archive_command = '/bin/true'\n");
  const server = await serve(dataDir, port);
  run(join(binDir, 'pgbench'), [...at, '-i', '-q', '-s', String(scale), 'postgres']);
  sql(`CREATE TABLE noise AS SELECT i, decode(string_agg(md5(random()::text), ''), 'hex') AS bytes
         FROM generate_series(1, ${scale * 5000}) i, generate_series(1, 120) GROUP BY i`);
  sql('VACUUM FREEZE', 'CHECKPOINT');
  const peers = peersIn({ root, binDir, dataDir, socketDir, port, dbkit: resolve('bin/dbkit.js'), run, own });
  const size = Number(sql('SELECT sum(pg_database_size(oid)) FROM pg_database')) / 1e9;
  console.log(`${size.toFixed(2)} GB, ${rounds} rounds in turn after one that does not count; medians; the page cache is warm`);
  await sleep(3_000); // Files that changed a moment ago are never shared.

  const seconds = (title, list, verb, { before = () => undefined, after = () => undefined } = {}) =>
    inTurn(
      list.map((peer) => ({
        name: peer.name,
        run: async () => {
          await before(peer);
          const cost = await costOf(() => verb(peer), root);
          await after(peer);
          return cost;
        },
      })),
      rounds,
    ).then((figures) => printCosts(title, figures));

  if (isWanted('floor')) await seconds('alone, what no backup of dbkit’s can do without', floor(), (part) => part.run());
  const takeFull = (peer) => peer.full();
  if (isWanted('full')) await seconds('full backup', peers, takeFull, { before: (peer) => peer.reset() });
  else
    for (const peer of peers) {
      peer.reset();
      peer.full();
    }
  const incremental = peers.map((peer) => ({ ...peer, take: peer.incremental ?? peer.full }));
  /** Whoever shares nothing takes a full one, and room for it. */
  const makeRoom = (peer) => peer.incremental ?? peer.reset();
  /** Everybody backs up the same change: it is made once a round. */
  const again = async (title, change = () => undefined) => {
    const pages = [];
    let turn = 0;
    await seconds(title, incremental, (peer) => peer.take(), {
      before: async (peer) => {
        makeRoom(peer);
        if (turn % incremental.length === 0) {
          pages.push(changedBy(change));
          await sleep(3_000); // Files that changed a moment ago are never shared.
        }
        turn += 1;
      },
    });
    const changed = median(pages.slice(1));
    console.log(`changed pages${String(changed).padStart(24)}, ${((changed * 8192) / 2 ** 20).toFixed(1)} MiB, by the WAL`);
  };
  if (isWanted('again')) {
    await again('again, nothing touched');
    await again('again, 1 % of the accounts touched, all in one place', touch);
    await again('again, 4,000 transactions spread over all accounts', spread);
  }
  const verifier = { name: 'pg_verifybackup of dbkit’s', verify: () => run(join(binDir, 'pg_verifybackup'), [peers.at(-1).newest()]) };
  if (isWanted('verify')) await seconds('verify', [verifier, ...peers.filter((peer) => peer.verify)], (peer) => peer.verify());

  let serial = 0;
  const restores = own('restores');
  const fresh = peers.filter((peer) => peer.name !== 'cp -a'); // A copy of a running server's files is no backup.
  const copies = [
    { ...peers[0], name: 'cp -a of dbkit’s', restore: (target) => run('cp', ['-a', peers.at(-1).newest(), target]) },
    ...fresh,
  ];
  if (isWanted('restore')) {
    await archive(peers);
    await seconds(
      'restore to the first answered query',
      copies,
      async (peer) => {
        serial += 1;
        const target = join(restores, String(serial));
        peer.restore(target);
        peer.restored = { target, server: await serve(target, port + 1) };
      },
      {
        after: async ({ restored }) => {
          await stop(restored.server);
          rmSync(restored.target, { recursive: true, force: true });
        },
      },
    );
  }

  if (isWanted('repository')) {
    console.log('\nrepository after 7 backups, 1 % touched before each but the first');
    for (const peer of peers) peer.reset();
    for (let round = 0; round < 7; round += 1) {
      if (round > 0) touch();
      for (const peer of incremental) {
        if (round === 0) peer.full();
        else if (peer.incremental) peer.take();
      }
    }
    for (const peer of peers) {
      const kept = usage(peer.repository());
      const copies = peer.incremental ? 1 : 7; // A tool that shares nothing: seven times one, and room is saved here.
      const [bytes, files] = [kept.bytes * copies, kept.files * copies];
      console.log(`${peer.name.padEnd(34)}${(bytes / 1e9).toFixed(2).padStart(8)} GB ${String(files).padStart(8)} files`);
    }
  }
  if (isWanted('tps')) {
    console.log('\ntransactions per second that a running pgbench loses to one full backup');
    const tps = () => {
      const bench = spawn(join(binDir, 'pgbench'), [...at, '-n', '-c', '2', '-T', '15', 'postgres'], {
        ...identity,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let said = '';
      bench.stdout.on('data', (chunk) => (said += chunk));
      return new Promise((done) => bench.once('exit', () => done(Number(/tps = ([\d.]+) \(without/.exec(said)[1]))));
    };
    const alone = median([await tps(), await tps()]);
    for (const peer of peers.slice(1)) {
      peer.reset();
      const under = tps();
      await sleep(1_000);
      peer.full();
      const figure = await under;
      console.log(`${peer.name.padEnd(34)}${((1 - figure / alone) * 100).toFixed(0).padStart(4)} % of ${alone.toFixed(0)}`);
    }
  }
  await stop(server);
} finally {
  for (const server of started) server.kill('SIGQUIT');
  await sleep(500);
  rmSync(root, { recursive: true, force: true });
}
