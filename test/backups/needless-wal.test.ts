import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { expect, onTestFinished, test } from 'vitest';
import { baseBackupRecords } from '../../src/backups/base/record.ts';
import { bringWalBack } from '../../src/backups/offsite/bring-wal.ts';
import { createCopies } from '../../src/backups/offsite/copies.ts';
import { copyOut } from '../../src/backups/offsite/copy-out.ts';
import { expireCopies } from '../../src/backups/offsite/expire-copies.ts';
import { plainBackups } from '../../src/backups/offsite/held-backups.ts';
import { type NeededWal, needlessWal } from '../../src/backups/offsite/needless-wal.ts';
import { openPlace } from '../../src/backups/offsite/place.ts';
import { copyWal } from '../../src/backups/offsite/send-wal.ts';
import { configSchema } from '../../src/config/config.ts';
import { clock } from '../../src/machine/clock.ts';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { createSystem } from '../../src/machine/machine.ts';
import { plainSeal } from '../../src/store/age.ts';
import { openDirectoryStore } from '../../src/store/directory.ts';
import type { Store } from '../../src/store/store.ts';
import { openWriter } from '../../src/wal/writer.ts';
import { FULL, run, SIZE, segment } from '../harness/wal-files.ts';
import { record } from './record.fixture.ts';

const { signal } = new AbortController();
const log = createLogger('error', () => undefined);
const files = createFiles(log);
const system = { files, clock };
const nameOf = (number: number, timeline = 1): string =>
  [timeline, 0, number].map((part) => part.toString(16).toUpperCase().padStart(8, '0')).join('');
const keyOf = (number: number, timeline = 1): string =>
  `wal/${timeline.toString().padStart(8, '0')}/${nameOf(number, timeline)}-0123456789abcdef.zst.age`;
const from = (number: number, timeline = 1): NeededWal => ({
  timeline,
  startLsn: `0/${(number * SIZE + 40).toString(16).toUpperCase()}`,
  segmentSizeBytes: SIZE,
});
const keys = [keyOf(3), keyOf(4), keyOf(5), keyOf(5, 2), keyOf(6, 2)];
const none = new Map();

test('WAL before every base backup of a copy is needless; that of the oldest and of later ones is not', () => {
  expect(needlessWal(keys, [{ label: 'data_1', wal: from(4) }], none)).toEqual([keyOf(3)]);
  expect(needlessWal(keys, [{ label: 'data_1', wal: from(5) }, { label: 'dump_1' }], none)).toEqual([keyOf(3), keyOf(4)]);
});

test('where one backup does not say what it needs, or there is none, everything is needed', () => {
  expect(needlessWal(keys, [{ label: 'data_1' }, { label: 'data_2', wal: from(5) }], none)).toEqual([]);
  expect(needlessWal(keys, [{ label: 'dump_1' }], none)).toEqual([]);
  expect(needlessWal(keys, [], none)).toEqual([]);
});

test('a later timeline is needed by the backups that it came from; one whose history is not known by every earlier one', () => {
  const old = { label: 'data_1', wal: from(5) };
  const fork = (at: number) => new Map([[2, [{ timeline: 1, switchLsn: BigInt(at * SIZE), reason: '' }]]]);
  expect(needlessWal(keys, [old], none)).toEqual([keyOf(3), keyOf(4)]);
  expect(needlessWal(keys, [old], fork(6))).toEqual([keyOf(3), keyOf(4)]);
  expect(needlessWal(keys, [old], fork(5)), 'it forked off before the backup').toEqual([keyOf(3), keyOf(4), keyOf(5, 2), keyOf(6, 2)]);
  expect(needlessWal(keys, [{ label: 'data_2', wal: from(6, 2) }], fork(5))).toEqual([keyOf(3), keyOf(4), keyOf(5), keyOf(5, 2)]);
});

test('names that are no segments of the archive are left alone', () => {
  const strange = [
    'wal/archive.json',
    'wal/00000001/00000001.history.age',
    'wal/00000001/tail/x',
    `wal/00000002/${nameOf(3)}-0123456789abcdef.zst`,
  ];
  expect(needlessWal(strange, [{ label: 'data_1', wal: from(9) }], none)).toEqual([]);
});

const inDays = (days: number) => ({ now: () => new Date(clock.now().getTime() + days * 86_400_000) });

/** Segments 3 to 6 are kept here, and two backups that need them from 3 and from 5 on are copied. */
async function twoCopies() {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-needless-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  await mkdir(join(root, 'away'));
  const store = openDirectoryStore({ path: join(root, 'away'), clock });
  const place = openPlace(store, plainSeal, '77');
  const here = async (name: string, seed = 0) => {
    const backupDir = join(root, name);
    const writer = openWriter({ repositoryDir: backupDir, systemIdentifier: '77', segmentSizeBytes: SIZE, owner: undefined, files });
    for (const number of [3, 4, 5, 6]) await writer.keepWhole(nameOf(number), segment(number, run(number, FULL - seed)), signal);
    return backupDir;
  };
  const backupDir = await here('backups');
  const copy = async (label: string, wal: NeededWal): Promise<void> => {
    await mkdir(join(backupDir, label), { recursive: true });
    await writeFile(join(backupDir, label, 'own'), label.repeat(3000));
    await writeFile(join(backupDir, `${label}.json`), `{"label":"${label}"}\n`);
    const about = { path: '', kind: 'physical', createdAt: '2026-11-20T12:00:00.000Z', state: 'good', pgVersion: 15 } as const;
    const summaries = [...(await place.summaries(signal)), { label, wal }];
    await copyOut(
      { place, backupDir, memoryDir: join(root, 'memory'), wal, system, held: plainBackups },
      { ...about, label, systemIdentifier: '77', sizeBytes: 1 },
      () => copyWal(place, { backupDir, summaries }, files, signal),
      signal,
    );
  };
  const segments = async (): Promise<number[]> =>
    (await store.list('v1/77/wal/', signal)).flatMap(({ key }) => {
      const [, number] = /\/[0-9A-F]{16}([0-9A-F]{8})-/.exec(key) ?? [];
      return number === undefined ? [] : [Number.parseInt(number, 16)];
    });
  return { root, store, place, here, copy, segments };
}

test('with a backup its WAL goes from a copy, is not sent again, and the backup that stays has all of its own', async () => {
  const { root, place, copy, segments } = await twoCopies();
  await copy('data_20261120_120000', from(3));
  await copy('data_20261121_120000', from(5));
  expect(await segments()).toEqual([3, 4, 5, 6]);
  const expire = (last: number, days = 0, dryRun = false) =>
    expireCopies({ place, policy: { last }, clock: inDays(days), log, histories: none }, { dryRun }, signal);
  expect(await expire(2)).toMatchObject({ walSegments: 0 });
  expect(await expire(1)).toMatchObject({ walSegments: 0 });
  expect(await expire(1, 6), 'another machine may copy a backup that is as old').toMatchObject({ walSegments: 0 });
  expect(await expire(1, 8, true)).toMatchObject({ walSegments: 2 });
  expect(await segments()).toEqual([3, 4, 5, 6]);
  expect(await expire(1, 8)).toMatchObject({ walSegments: 2 });
  expect(await segments()).toEqual([5, 6]);
  await copy('data_20261122_120000', from(6));
  expect(await segments(), 'what no backup there needs is not sent again').toEqual([5, 6]);
  expect(await bringWalBack(place, join(root, 'repository'), files, signal)).toBe(2);
});

test('two machines expire at once and one is killed at any removal: what the backup that stays needs is there at every instant', async () => {
  const { store, copy, segments } = await twoCopies();
  await copy('data_20261120_120000', from(3));
  await copy('data_20261121_120000', from(5));
  let left = 0;
  const killable: Store = {
    ...store,
    async remove(...rest) {
      if (left === 0) throw new TypeError('killed');
      left -= 1;
      await store.remove(...rest);
      expect(await segments()).toEqual(expect.arrayContaining([5, 6]));
    },
  };
  const expire = (on: Store, days: number) =>
    expireCopies(
      { place: openPlace(on, plainSeal, '77'), policy: { last: 1 }, clock: inDays(days), log, histories: none },
      { dryRun: false },
      signal,
    );
  let kills = 0;
  for (const days of [0, 8])
    for (let patience = 0; ; patience += 1) {
      left = patience;
      const both = await Promise.allSettled([
        expire(killable, days),
        expire(killable, days),
        expire(patience > 3 ? store : killable, days),
      ]);
      expect(await segments()).toEqual(expect.arrayContaining([5, 6]));
      expect((await openPlace(store, plainSeal, '77').summaries(signal)).map(({ label }) => label)).toContain('data_20261121_120000');
      if (both.every(({ status }) => status === 'fulfilled')) break;
      kills += 1;
      expect(kills).toBeLessThan(60);
    }
  expect(kills).toBeGreaterThan(2);
  expect(await segments()).toEqual([5, 6]);
});

test('a machine that copies an older backup while another lets go of all but the newest keeps the WAL of it', async () => {
  const { place, copy, segments } = await twoCopies();
  await copy('data_20261119_120000', from(3));
  await copy('data_20261121_120000', from(6));
  const expire = (last: number, days: number) =>
    expireCopies({ place, policy: { last }, clock: inDays(days), log, histories: none }, { dryRun: false }, signal);
  await expire(1, 0);
  await copy('data_20261120_120000', from(4)); // Begun before, and its summary comes now.
  expect(await segments()).toEqual([3, 4, 5, 6]);
  expect(await expire(2, 8)).toMatchObject({ walSegments: 1 });
  expect(await segments()).toEqual([4, 5, 6]);
});

test('a server that comes from the same cluster and has gone another way is refused, and nothing is sent', async () => {
  const { store, place, here, copy } = await twoCopies();
  await copy('data_20261120_120000', from(3));
  const before = await store.list('v1/77/', signal);
  const other = await here('of-a-clone', 1);
  const wish = { backupDir: other, summaries: [] };
  await expect(copyWal(place, wish, files, signal)).rejects.toMatchObject({ code: 'wal.conflict' });
  expect(await store.list('v1/77/', signal)).toEqual(before);
});

test('the summary of a copied base backup says from where on it needs WAL, as its record does', async () => {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-needed-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const [backupDir, stateDir, away] = ['backups', 'state', 'away'].map((name) => join(root, name)) as [string, string, string];
  const { label } = record;
  for (const directory of [join(backupDir, label), stateDir, away]) await mkdir(directory, { recursive: true });
  await writeFile(join(backupDir, label, 'PG_VERSION'), '15\n');
  await writeFile(join(backupDir, `${label}.json`), JSON.stringify(record));
  const config = v.parse(configSchema, { backupDir, stateDir, copies: { away: { type: 'directory', path: away } } });
  const machine = await createSystem(log, {});
  const reveal = async (): Promise<string> => '';
  const copies = createCopies({ config, owner: undefined, system: machine, clock, reveal });
  const backup = baseBackupRecords.toBackup(record, join(backupDir, label));
  await copies.copy('away', backup, { otherCluster: false }, signal);
  expect(await copies.list('away', signal)).toMatchObject([
    { label, wal: { timeline: 1, startLsn: '0/2000028', segmentSizeBytes: 16_777_216 } },
  ]);
});
