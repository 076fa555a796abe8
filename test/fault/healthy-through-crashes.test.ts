import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect } from 'vitest';
import type { Finding } from '../../src/inspection/findings.ts';
import { ask } from '../harness/ask.ts';
import { zeroPage } from '../harness/breaking.ts';
import { boot, inspect, type Running, run } from '../harness/dbkit.ts';
import { configure, type Instance } from '../harness/instance.ts';
import { killAllIn } from '../harness/processes.ts';
import { everywhere } from '../harness/tier.ts';
import { scenario } from './disaster.ts';
import { random } from './random.ts';

const CYCLES = Number(process.env['DBKIT_TEST_CYCLES'] ?? (everywhere ? 40 : 10));
const SEED = Number(process.env['DBKIT_TEST_SEED'] ?? 1);
const CYCLE_LIMIT_MS = 60_000;
const WRITERS = 3;

/** Every access method, and a table whose rows are stored beside it; what fits in little memory is not evicted, and proves nothing. */
const tables = [
  'CREATE TABLE things (id serial PRIMARY KEY, n int, words text, place point, tags int[], body text)',
  'ALTER TABLE things ALTER body SET STORAGE EXTERNAL',
  'CREATE INDEX things_hash ON things USING hash (n)',
  'CREATE INDEX things_gist ON things USING gist (place)',
  'CREATE INDEX things_spgist ON things USING spgist (words)',
  'CREATE INDEX things_gin ON things USING gin (tags)',
  'CREATE INDEX things_brin ON things USING brin (id)',
  'CREATE TABLE hot (id int PRIMARY KEY, n int)',
  'INSERT INTO hot SELECT g, 0 FROM generate_series(1, 500) g',
  'CREATE UNLOGGED TABLE loose (id int PRIMARY KEY, n int)',
  'CREATE SEQUENCE counter',
];

const row = `SELECT (random() * 1e6)::int, md5(random()::text), point(random(), random()), ARRAY[(random() * 50)::int, g], repeat(md5(g::text), 90)`;
/** What clients do, and what they do to the files. */
const work = (draw: () => number): string => {
  const n = Math.floor(draw() * 400) + 1;
  const statements = [
    `INSERT INTO things (n, words, place, tags, body) ${row} FROM generate_series(1, ${n}) g`,
    `INSERT INTO things (n, words, place, tags, body) ${row} FROM generate_series(1, ${n}) g`,
    `UPDATE hot SET n = n + 1 WHERE id = ${n}`,
    `UPDATE hot SET n = n + 1 WHERE id = ${n}`,
    `UPDATE things SET words = md5(words) WHERE id % 97 = ${n % 97}`,
    `DELETE FROM things WHERE id % 13 = ${n % 13}`,
    'DELETE FROM things WHERE id > (SELECT max(id) / 2 FROM things)',
    `BEGIN; INSERT INTO things (n, words) SELECT g, 'never' FROM generate_series(1, ${n}) g; ROLLBACK`,
    'VACUUM things',
    'VACUUM (FREEZE) hot',
    'VACUUM FULL things',
    'CHECKPOINT',
    'CHECKPOINT',
    'TRUNCATE loose',
    `INSERT INTO loose SELECT g, g FROM generate_series(1, ${n}) g ON CONFLICT DO NOTHING`,
    `SELECT nextval('counter') FROM generate_series(1, ${n})`,
    `CREATE TABLE t${n % 20} AS SELECT g AS id, md5(g::text) AS words FROM generate_series(1, ${n * 20}) g`,
    `DROP TABLE IF EXISTS t${n % 20}`,
    `TRUNCATE t${n % 20}`,
    `BEGIN; TRUNCATE t${n % 20}; INSERT INTO t${n % 20} SELECT g, 'x' FROM generate_series(1, ${n}) g; COMMIT`,
    `CREATE INDEX CONCURRENTLY ON t${n % 20} (id)`,
    `ALTER TABLE t${n % 20} SET UNLOGGED`,
    `ALTER TABLE t${n % 20} SET LOGGED`,
    'REINDEX TABLE hot',
    'REINDEX INDEX things_gist',
    'SELECT count(*) FROM things',
    `CREATE DATABASE d${n % 4}`,
    `DROP DATABASE IF EXISTS d${n % 4}`,
  ];
  return statements[Math.floor(draw() * statements.length)]!;
};

interface Load {
  stop(): Promise<void>;
}

/** Writers until they are stopped, or the server is gone. */
async function load({ socketDir: host, port }: Instance, draw: () => number): Promise<Load> {
  let isStopped = false;
  const write = async (): Promise<void> => {
    const client = new pg.Client({ host, port, user: 'postgres', database: 'app' });
    client.on('error', () => undefined); // The server is killed under it.
    await client.connect();
    await client.query("SET lock_timeout = '300ms'");
    while (!isStopped) {
      try {
        await client.query(work(draw));
      } catch (cause) {
        if (!(cause instanceof pg.DatabaseError)) return; // There is no server any more.
        await client.query('ROLLBACK').catch(() => undefined); // A table is gone, or busy.
      }
    }
    await client.end().catch(() => undefined);
  };
  const writing = Promise.allSettled(Array.from({ length: WRITERS }, write));
  return {
    async stop() {
      isStopped = true;
      await writing;
    },
  };
}

const alarm = /damaged|restoring|not mended|rebuilt|reinitiali|quarantine/;

/** Nothing was claimed, nothing was replaced, nothing is remembered. */
async function expectNoAlarm({ dataDir, backupDir, stateDir }: Instance, running: Running, cycle: string): Promise<void> {
  const said = running
    .words()
    .split('\n')
    .filter((line) => alarm.test(line));
  expect(said, cycle).toEqual([]);
  expect(await readdir(join(backupDir, 'quarantine')).catch(() => []), cycle).toEqual([]);
  for (const place of [join(stateDir, 'damage.json'), join(dataDir, '.dbkit', 'damage.json')]) {
    const memory = JSON.parse(await readFile(place, 'utf8').catch(() => '{}')) as { entries?: { severity: string }[] };
    expect(memory.entries?.filter(({ severity }) => severity === 'certain') ?? [], cycle).toEqual([]);
  }
}

/** Said of pages. A folder that a crash left of a database that was being made is suspect until the server has been asked. */
const isOfPages = ({ code, blocks }: Finding): boolean =>
  blocks !== undefined || ['relation.changed', 'relation.truncated', 'file.unreadable'].includes(code);

async function expectSoundPages(instance: Instance, cycle: string): Promise<void> {
  const { findings } = await inspect(instance, ['--deep']);
  expect(
    findings.filter((finding) => finding.severity !== 'info' && isOfPages(finding)),
    cycle,
  ).toEqual([]);
}

/** One life of the server: clients, a backup now and then, a look at every page, and a stop or a power cut. */
async function live(instance: Instance, draw: () => number, cycle: string): Promise<void> {
  const running = await boot(instance);
  await expectNoAlarm(instance, running, cycle);
  if (cycle.endsWith(' 1')) await ask(instance, 'app', ...tables);
  const clients = await load(instance, draw);
  await sleep(200 + draw() * 900);
  if (cycle.endsWith(' 1') || draw() < 0.25) expect((await run(instance, ['backup', 'create'])).code, cycle).toBe(0);
  if (draw() < 0.4) await expectSoundPages(instance, `${cycle}, beside the server`);
  if (draw() < 0.3) await sleep(draw() * 500);
  if (draw() < 0.65) {
    await killAllIn(instance.root);
    await running.ended;
  } else await running.stop();
  await clients.stop();
  await expectNoAlarm(instance, running, `${cycle}, at its end`);
  if (draw() < 0.4) await expectSoundPages(instance, `${cycle}, once it was gone`);
}

scenario(
  {
    name: 'a healthy server is killed and stopped again and again under every kind of work: it is never called damaged',
    section: 'A',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'none',
    from: 'template',
    longTier: true,
    timeoutMs: CYCLES * CYCLE_LIMIT_MS,
  },
  async (instance) => {
    const settings = { shared_buffers: '2MB', autovacuum_naptime: '1s', wal_log_hints: 'on' };
    await configure(instance, { postgresql: { settings } });
    for (let cycle = 1; cycle <= CYCLES; cycle += 1) {
      let drawn = 0;
      const draw = (): number => {
        drawn += 1;
        return random(SEED * 1_000_000 + cycle * 10_000 + drawn);
      };
      await live(instance, draw, `seed ${SEED}, cycle ${cycle}`);
    }
    const last = await boot(instance);
    await expectNoAlarm(instance, last, 'the last boot');
    expect((await run(instance, ['backup', 'create'])).code).toBe(0);
    const [place] = await ask<{ path: string }>(instance, 'app', "SELECT pg_relation_filepath('hot') AS path");
    await last.stop();
    await zeroPage(instance, place!.path, 0);
    const { findings } = await inspect(instance, ['--deep']);
    expect(findings, 'the same look does see what is lost').toContainEqual(
      expect.objectContaining({ path: place!.path, severity: 'certain' }),
    );
  },
);
