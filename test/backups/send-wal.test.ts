import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { bringWalBack } from '../../src/backups/offsite/bring-wal.ts';
import { openPlace, type Place } from '../../src/backups/offsite/place.ts';
import { openWalSender } from '../../src/backups/offsite/send-wal.ts';
import { DbkitError } from '../../src/kernel/errors.ts';
import { clock } from '../../src/machine/clock.ts';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { plainSeal } from '../../src/store/age.ts';
import { openDirectoryStore } from '../../src/store/directory.ts';
import type { Store } from '../../src/store/store.ts';
import { openArchive } from '../../src/wal/archive.ts';
import { openWriter } from '../../src/wal/writer.ts';
import { FULL, run, SIZE, segment } from '../harness/wal-files.ts';

const { signal } = new AbortController();
const files = createFiles(createLogger('error', () => undefined));
const nameOf = (number: number): string => `0000000100000000${number.toString(16).toUpperCase().padStart(8, '0')}`;
const whole = (number: number): Buffer => segment(number, run(number, FULL));
/** Megabytes as their length and their digest: compared byte by byte they cost an assertion ten seconds. */
const told = (segments: readonly Buffer[]): string[] =>
  segments.map((bytes) => `${bytes.length} bytes, ${createHash('sha256').update(bytes).digest('hex')}`);

async function setUp() {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-send-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const backupDir = join(root, 'backups');
  await mkdir(join(root, 'away'));
  const store = openDirectoryStore({ path: join(root, 'away'), clock });
  const writer = openWriter({ repositoryDir: backupDir, systemIdentifier: '77', segmentSizeBytes: SIZE, owner: undefined, files });
  const placeWith = (change: Partial<Store> = {}): Place => openPlace({ ...store, ...change }, plainSeal, '77');
  /** The archive as a blank machine gets it, byte for byte. */
  const back = async (): Promise<Buffer[]> => {
    const target = await mkdtemp(join(root, 'blank-'));
    await bringWalBack(placeWith(), target, files, signal);
    const archive = openArchive(target, '77', files);
    const [timeline] = await archive.timelines(signal);
    return Promise.all((timeline?.segments ?? []).map((one) => archive.read(one, signal)));
  };
  const tailKeys = async (): Promise<string[]> => (await store.list('v1/77/wal/00000001/tail/', signal)).map(({ key }) => key);
  return { store, backupDir, writer, placeWith, back, tailKeys };
}

test('as it grows only what is new is sent, in pieces, and they are gone once the segment is whole', async () => {
  const { backupDir, writer, placeWith, back, tailKeys, store } = await setUp();
  await writer.keepWhole(nameOf(3), whole(3), signal);
  const tail = await writer.openTail(nameOf(4), 0);
  const sender = openWalSender(placeWith(), { backupDir, files });
  let at = 0;
  for (const to of [20_000, 30_000, 30_000, 45_000]) {
    await tail.append(whole(4).subarray(at, to));
    at = to;
    const { end } = await sender.send([], signal);
    expect(end).toEqual({ timeline: 1, lsn: BigInt(4 * SIZE + to) });
    expect(told(await back())).toEqual(told([whole(3), whole(4).subarray(0, to)]));
  }
  expect((await tailKeys()).map((key) => key.split(`${nameOf(4)}-`)[1])).toEqual([
    '0001-00000000-00004e20.zst',
    '0001-00004e20-00007530.zst',
    '0001-00007530-0000afc8.zst',
  ]);
  await tail.close();
  await writer.keepWhole(nameOf(4), whole(4), signal);
  expect(await sender.send([], signal)).toMatchObject({ sentObjects: 1, end: { lsn: BigInt(5 * SIZE) } });
  expect(await tailKeys()).toEqual([]);
  expect(told(await back())).toEqual(told([whole(3), whole(4)]));
  expect((await store.list('v1/77/wal/', signal)).length, 'the record and two segments').toBe(3);
});

test('a tail that a crash has changed, or that another process has sent too, begins again and nothing of before counts', async () => {
  const { backupDir, writer, placeWith, back, tailKeys } = await setUp();
  const [one, other] = [whole(4), Buffer.from(whole(4)).fill(9, 15_000, 40_000)];
  const tail = await writer.openTail(nameOf(4), 0);
  await tail.append(one.subarray(0, 20_000));
  const sender = openWalSender(placeWith(), { backupDir, files });
  await sender.send([], signal);
  await tail.close();
  const cut = await writer.openTail(nameOf(4), 15_000);
  await cut.append(other.subarray(15_000, 25_000));
  await sender.send([], signal);
  expect(told(await back())).toEqual(told([other.subarray(0, 25_000)]));
  await cut.append(other.subarray(25_000, 30_000));
  await openWalSender(placeWith(), { backupDir, files }).send([], signal); // As a backup that is copied does.
  await cut.append(other.subarray(30_000, 35_000));
  await sender.send([], signal);
  await cut.close();
  expect(told(await back())).toEqual(told([other.subarray(0, 35_000)]));
  expect(await tailKeys()).toHaveLength(1);
});

test('many small pieces become one', async () => {
  const { backupDir, writer, placeWith, back, tailKeys } = await setUp();
  const tail = await writer.openTail(nameOf(4), 0);
  const sender = openWalSender(placeWith(), { backupDir, files });
  for (let at = 0; at < 40; at += 1) {
    await tail.append(whole(4).subarray(at * 100, at * 100 + 100));
    await sender.send([], signal);
    expect((await tailKeys()).length).toBeLessThanOrEqual(33);
  }
  await tail.close();
  expect(told(await back())).toEqual(told([whole(4).subarray(0, 4_000)]));
});

test('killed at any write or removal, what a blank machine gets is a beginning of the WAL, and the next sender goes on', async () => {
  const { backupDir, writer, placeWith, back, tailKeys } = await setUp();
  let left = 0;
  const spend = (): void => {
    if (left === 0) throw new DbkitError('store.unavailable', 'killed');
    left -= 1;
  };
  const { store } = placeWith();
  const breaking: Partial<Store> = {
    put: async (...rest) => {
      spend();
      return store.put(...rest);
    },
    remove: async (...rest) => {
      spend();
      return store.remove(...rest);
    },
  };
  let [expected, kills] = [Buffer.alloc(0), 0];
  const sendThroughKills = async (): Promise<void> => {
    for (let patience = 0; ; patience += 1) {
      left = patience;
      const sent = await openWalSender(placeWith(breaking), { backupDir, files })
        .send([], signal)
        .catch(() => undefined);
      const got = Buffer.concat(await back());
      expect(expected.subarray(0, got.length).equals(got)).toBe(true);
      if (sent !== undefined) return void expect(got.length).toBe(expected.length);
      kills += 1;
    }
  };
  await writer.keepWhole(nameOf(3), whole(3), signal);
  const tail = await writer.openTail(nameOf(4), 0);
  for (const [from, to] of [
    [0, 10_000],
    [10_000, 20_000],
  ] as const) {
    await tail.append(whole(4).subarray(from, to));
    expected = Buffer.concat([whole(3), whole(4).subarray(0, to)]);
    await sendThroughKills();
  }
  await tail.close();
  await writer.keepWhole(nameOf(4), whole(4), signal);
  expected = Buffer.concat([whole(3), whole(4)]);
  await sendThroughKills();
  expect(kills).toBeGreaterThan(6);
  expect(await tailKeys()).toEqual([]);
});
