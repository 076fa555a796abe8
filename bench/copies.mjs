// What copies elsewhere cost: the first and the second copy of a server of pgbench with random writes between, and a restore from there to the first answered
// query: dbkit beside restic and pgBackRest (full, incr, bundles, blocks where it has them), in turn, in one run. To a directory, and, where S3_ENDPOINT is
// set, to a bucket. All encrypt. dbkit and restic copy dbkit's newest local backup, whose own cost is printed; pgBackRest reads the server.
// Usage: node bench/copies.mjs [scale] [rounds] [bin-dir]     PGBACKREST=PATH: another pgBackRest beside the installed one; BENCH_DIR: where to write
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bucketOf } from './bucket.mjs';
import { copyPeers, localBackups } from './copies-peers.mjs';
import { costOf, median, printCosts } from './measure.mjs';
import { newestPrograms, openThrowaway } from './throwaway.mjs';

const [scale = 30, rounds = 3] = process.argv.slice(2, 4).filter(Boolean).map(Number);
const binDir = process.argv[4] ?? newestPrograms();
const MIB = 2 ** 20;
const WRITES = 66 * scale; // So many random rows are about 4 % of the pages.

const throwaway = openThrowaway(binDir);
const { root, run, sql, at, emptied, own, serve, stop } = throwaway;
const tools = ['dbkit', 'restic', 'pgbackrest', 'other', 'engine'];
const folderOf = (tool) => `dbkit-bench-${process.pid}/${tool}`;
const bucket = await bucketOf(root, throwaway.port + 1, tools.map(folderOf));

/** A directory, and a folder of the bucket. */
const placesOf = (program) => {
  const tool = tools.includes(program) ? program : 'other';
  const path = own(`copy-${tool}`);
  return [
    { kind: 'directory', name: 'nas', path, tool },
    ...(bucket ? [{ kind: 'bucket', name: 'offsite', folder: folderOf(tool), bucket, tool }] : []),
  ];
};
const copiesOfDbkit = () => ({
  nas: { type: 'directory', path: own('copy-dbkit') },
  ...(bucket && {
    offsite: {
      type: 's3',
      bucket: bucket.name,
      endpoint: bucket.endpoint,
      region: bucket.region,
      prefix: `${folderOf('dbkit')}/`,
      accessKeyId: { env: 'S3_KEY' },
      secretAccessKey: { env: 'S3_SECRET' },
    },
  }),
});
const secrets = bucket ? { S3_KEY: bucket.accessKeyId, S3_SECRET: bucket.secretAccessKey, NODE_EXTRA_CA_CERTS: bucket.certFile } : {};

async function storedBy({ place, counted = '' }) {
  if (place.bucket) return bucket.stored(place.folder);
  const [bytes, files] = run('sh', [
    '-c',
    `find "$0" -type f -printf '%s\\n' | awk '{ sum += $1 } END { printf "%.0f %d", sum, NR }'`,
    join(place.path, counted),
  ])
    .split(' ')
    .map(Number);
  return { bytes, files };
}
const requestsOf = ({ place }) => (place.bucket ? bucket.read(place.folder) : undefined);
const less = (after, before) => after && Object.fromEntries(Object.entries(after).map(([name, count]) => [name, count - before[name]]));

async function emptyPlaces(peers) {
  for (const { place } of peers)
    if (place.bucket) await bucket.empty(place.folder);
    else emptied(`copy-${place.tool}`);
}

/** Each transaction of pgbench left one. */
const rowsAt = (port) => run(join(binDir, 'psql'), [...at(port), '-qAtXc', 'SELECT count(*) FROM pgbench_history']).trim();

/** Until the archiver has all there is: it would work beside what is measured. */
async function settle() {
  const last = sql('CHECKPOINT', 'SELECT pg_walfile_name(pg_switch_wal())').split('\n').at(-1);
  while (sql('SELECT last_archived_wal FROM pg_stat_archiver') < last) await sleep(100);
  await sleep(2_500); // Files that changed a moment ago are never shared.
}

/** One copy by each, beginning with another one each round. */
async function copyAll(figures, peers, round, isFirst) {
  const first = round % peers.length;
  for (const peer of [...peers.slice(first), ...peers.slice(0, first)]) {
    peer.prepare?.();
    const [before, requests] = [isFirst ? { bytes: 0, files: 0 } : await storedBy(peer), requestsOf(peer)];
    const cost = await costOf(() => peer.copy(isFirst));
    const after = await storedBy(peer);
    figures
      .get(peer.name)
      .push({ ...cost, bytes: after.bytes - before.bytes, files: after.files - before.files, requests: less(requestsOf(peer), requests) });
  }
}

async function restoreAll(figures, peers, round) {
  for (const peer of peers) {
    const target = join(own('restores'), `${round}-${peers.indexOf(peer)}`);
    if (peer.counted) own(join('restores', `${round}-${peers.indexOf(peer)}`)); // pgBackRest fills a folder that is there.
    const requests = requestsOf(peer);
    let server;
    const cost = await costOf(async () => {
      peer.restore(target);
      server = await serve(target, throwaway.port + 2, {
        question: 'SELECT count(*) FROM pgbench_branches',
        settings: ['archive_mode=off'],
      });
    });
    figures.get(peer.name).push({ ...cost, requests: less(requestsOf(peer), requests) });
    if (rowsAt(throwaway.port + 2) !== rowsAt()) throw new Error(`${peer.name} restored another history`);
    await stop(server);
    rmSync(target, { recursive: true, force: true });
    rmSync(`${target}-whole`, { recursive: true, force: true });
  }
}

function print(title, figures) {
  printCosts(title, figures);
  const middle = (costs, of) => median(costs.map(of));
  const [base] = [...figures.values()].map((costs) => middle(costs, ({ bytes }) => bytes));
  for (const [name, costs] of figures) {
    if (costs[0].bytes === undefined && !costs[0].requests) continue;
    const bytes = middle(costs, (cost) => cost.bytes);
    const kept =
      costs[0].bytes === undefined
        ? ''
        : `stored ${(bytes / MIB).toFixed(1)} MiB (${(bytes / base).toFixed(2)}) in ${middle(costs, ({ files }) => files)} files`;
    const requests = costs[0].requests
      ? Object.keys(costs[0].requests).map((field) => [field, middle(costs, (cost) => cost.requests[field])])
      : [];
    const asked = requests
      .filter(([, count]) => count > 0)
      .map(([field, count]) => (/up|down/.test(field) ? `${(count / MIB).toFixed(1)} MiB ${field}` : `${count} ${field}`));
    console.log(`${name.padEnd(34)}${[kept, ...asked].filter(Boolean).join(', ')}`);
  }
}

try {
  throwaway.init('archive_mode = on', "archive_command = '/bin/true'");
  const server = await serve(throwaway.dataDir, throwaway.port);
  run(join(binDir, 'pgbench'), [...at(), '-i', '-q', '-s', String(scale), 'postgres']);
  sql('VACUUM FREEZE', 'CHECKPOINT');
  const local = localBackups(throwaway, { binDir, dbkit: resolve('bin/dbkit.js'), copies: copiesOfDbkit(), secrets });
  const peers = copyPeers(throwaway, local, placesOf);
  const size = Number(sql('SELECT sum(pg_database_size(oid)) FROM pg_database')) / MIB;
  console.log(`${size.toFixed(0)} MiB, ${rounds} rounds in turn; medians; ${WRITES} rows written at random before the second copy`);
  const empty = (list) => new Map(list.map(({ name }) => [name, []]));
  const own1 = [{ name: 'dbkit, its local backup' }];
  const [locals, firsts, again, seconds, restores] = [empty(own1), empty(peers), empty(own1), empty(peers), empty(peers)];
  const takeLocal = async (figures) => figures.get(own1[0].name).push(await costOf(() => local.take()));
  const archiving = peers.filter((peer) => peer.archive).map((peer) => peer.archive());
  for (let round = 0; round < rounds; round += 1) {
    sql("ALTER SYSTEM SET archive_command = '/bin/true'", 'SELECT pg_reload_conf()');
    await settle();
    await emptyPlaces(peers);
    local.reset();
    for (const peer of peers) peer.reset?.();
    sql(`ALTER SYSTEM SET archive_command = '${archiving.join(' && ') || '/bin/true'}'`, 'SELECT pg_reload_conf()');
    await settle();
    await takeLocal(locals);
    await copyAll(firsts, peers, round, true);
    run(join(binDir, 'pgbench'), [...at(), '-n', '-N', '-c', '2', '-t', String(WRITES / 2), 'postgres']);
    await settle();
    await takeLocal(again);
    await copyAll(seconds, peers, round, false);
    await restoreAll(restores, peers, round);
  }
  printCosts('the local backup that dbkit and restic copy: first', locals);
  printCosts('and second', again);
  print('first copy', firsts);
  print('second copy', seconds);
  print('restore to the first answered query', restores);
  await stop(server);
  await emptyPlaces(peers);
} finally {
  await bucket?.close();
  await throwaway.close();
}
