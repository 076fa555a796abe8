import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fromText } from '../../src/formats/byte-path.ts';
import { parseControlFile } from '../../src/formats/control-file.ts';
import { readWal } from '../../src/formats/wal-reader.ts';
import { formatLsn } from '../../src/formats/wal-segment.ts';
import { createCatalog, learnDirectory } from '../../src/wal/moments/catalog.ts';
import type { Destruction, Moment } from '../../src/wal/moments/moment.ts';
import { createScanner } from '../../src/wal/moments/scanner.ts';
import { ask } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { everywhere } from '../harness/tier.ts';

const { signal } = new AbortController();

async function controlOf({ dataDir }: Instance) {
  const parsed = parseControlFile(await readFile(join(dataDir, 'global/pg_control')));
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed.control;
}

const statements: readonly (readonly [words: readonly string[], found: Destruction | undefined])[] = [
  [['CREATE TABLE orders (id int PRIMARY KEY, note text)'], undefined],
  [['INSERT INTO orders SELECT g FROM generate_series(1, 3000) g'], undefined],
  [['DELETE FROM orders WHERE id > 2900'], undefined],
  [['DELETE FROM orders WHERE id > 1500'], { kind: 'delete', database: 'app', names: ['public.orders'], rows: 1400 }],
  [['BEGIN', 'DROP TABLE orders', 'ROLLBACK'], undefined],
  [['TRUNCATE orders'], { kind: 'truncate', database: 'app', names: ['public.orders'], rows: 0 }],
  [['REINDEX TABLE orders'], undefined],
  [['VACUUM FULL orders'], { kind: 'rewrite', database: 'app', names: ['public.orders'], rows: 0 }],
  [['TRUNCATE orders'], { kind: 'truncate', database: 'app', names: ['public.orders'], rows: 0 }],
  [['CREATE TEMP TABLE mine (a int)', 'DROP TABLE mine'], undefined],
  [['BEGIN', 'CREATE TABLE brief (a int)', 'DROP TABLE brief', 'COMMIT'], undefined],
  [['CREATE SCHEMA shop', 'CREATE TABLE shop.x (a int)', 'CREATE VIEW shop.v AS SELECT 1'], undefined],
  [['DROP SCHEMA shop CASCADE'], { kind: 'drop', database: 'app', names: ['shop.x'], rows: 0 }],
  [
    ['BEGIN', 'SAVEPOINT s', 'DROP TABLE orders', 'RELEASE s', 'CREATE TABLE orders (id int)', 'COMMIT'],
    { kind: 'drop', database: 'app', names: ['public.orders'], rows: 0 },
  ],
  [["BEGIN; DROP TABLE orders; PREPARE TRANSACTION 'two'"], undefined],
  [["COMMIT PREPARED 'two'"], { kind: 'drop', database: 'app', names: ['public.orders'], rows: 0 }],
  [['CREATE SCHEMA "My.Shop"', 'CREATE TABLE "My.Shop"."a.b" (i int)', 'CREATE TABLE "Orders" (i int)'], undefined],
  [['DROP TABLE "Orders"'], { kind: 'drop', database: 'app', names: ['public."Orders"'], rows: 0 }],
  [['DROP TABLE "My.Shop"."a.b"'], { kind: 'drop', database: 'app', names: ['"My.Shop"."a.b"'], rows: 0 }],
  [['DROP TABLE ledger CASCADE'], { kind: 'drop', database: 'app', names: ['public.ledger'], rows: 0 }],
  [['CREATE DATABASE spare'], undefined],
  [['DROP DATABASE spare'], { kind: 'drop-database', database: 'spare', names: ['spare'], rows: 0 }],
];

const packed = everywhere ? installed : installed.slice(0, 1);
const variants = [
  ...installed.map((programs) => ({ ...programs, compression: 'off' })),
  ...packed.map((programs) => ({ ...programs, compression: 'on' })),
];

test.for(variants)(
  'what WAL tells of transactions (PostgreSQL $major, wal_compression $compression)',
  async ({ compression, ...programs }) => {
    const instance = await openInstance({ programs, from: 'template' });
    const control = await controlOf(instance);
    const catalog = createCatalog(programs.major);
    await learnDirectory(catalog, instance.dataDir, signal);
    const settings = { max_prepared_transactions: '5', wal_compression: compression };
    const server = await startBare(instance.programs, instance.dataDir, { ...instance, settings });
    const expected: Destruction[] = [];
    for (const [words, found] of statements) {
      await ask(instance, 'app', ...words);
      if (found) expected.push(found);
    }
    const [point] = await ask<{ lsn: string; at: string }>(
      instance,
      'app',
      "SELECT pg_create_restore_point('before-release') AS lsn, (extract(epoch FROM clock_timestamp()) * 1000)::bigint::text AS at",
    );
    await server.stop();

    const scan = createScanner(catalog, programs.major);
    const moments: Moment[] = [];
    const identity = { ...control, segmentSizeBytes: control.walSegmentSizeBytes };
    const wal = join(instance.dataDir, 'pg_wal');
    const { end, broken } = await readWal(fromText(wal), identity, control.checkpointLsn, signal, (record) => {
      const moment = scan(record);
      if (moment) moments.push(moment);
      return true;
    });
    expect(broken).toBe(false);
    const destroyed = moments.flatMap((moment) => (moment.kind === 'commit' && moment.destruction ? [moment.destruction] : []));
    expect(destroyed).toEqual(expected);
    const named = moments.find(({ kind }) => kind === 'restore-point');
    expect(named).toMatchObject({ name: 'before-release' });
    expect(Math.abs(Number(named!.atMicros / 1000n) - Number(point!.at))).toBeLessThan(5_000);
    expect(moments.filter(({ kind }) => kind === 'restart').length).toBeGreaterThan(0);
    await expectAsWaldumpSays(instance, moments, [control.checkpointLsn, end]);
  },
);

/** Transactions, their ends and their times, as PostgreSQL's own reader prints them, where it is installed. */
async function expectAsWaldumpSays({ programs, dataDir }: Instance, moments: readonly Moment[], range: readonly [bigint, bigint]) {
  const program = join(programs.directory, 'pg_waldump');
  if (!existsSync(program)) return;
  const [start, end] = range.map(formatLsn);
  const { stdout } = spawnSync(program, ['-p', join(dataDir, 'pg_wal'), '-s', start!, '-e', end!, '-r', 'Transaction'], {
    encoding: 'utf8',
    env: { TZ: 'UTC', LC_ALL: 'C' },
  });
  const said = [...stdout.matchAll(/lsn: (\S+), prev \S+, desc: (COMMIT|ABORT)(?:_PREPARED)? (.*)/g)].map(([, lsn, kind, rest]) => ({
    lsn: lsn!.replace(/\/0*/, '/'),
    kind: kind!.toLowerCase(),
    at: /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}/.exec(rest!)![0],
  }));
  const found = moments.flatMap((moment) =>
    moment.kind === 'commit' || moment.kind === 'abort'
      ? [{ lsn: formatLsn(moment.lsn), kind: moment.kind, at: timeOf(moment.atMicros) }]
      : [],
  );
  expect(said.length).toBeGreaterThan(10);
  expect(found).toEqual(said);
}

const timeOf = (micros: bigint): string => {
  const iso = new Date(Number(micros / 1000n)).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}.${(micros % 1_000_000n).toString().padStart(6, '0')}`;
};
