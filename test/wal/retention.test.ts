import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { System } from '../../src/kernel/machine.ts';
import type { ArchivedSegment, ArchivedTimeline, WalArchive } from '../../src/wal/contract.ts';
import { expireWal } from '../../src/wal/expire.ts';
import { type NeedsWal, planWalRetention, segmentRows } from '../../src/wal/retention.ts';
import { SIZE } from '../harness/wal-files.ts';

const segment = (number: number, timeline = 1, more: Partial<ArchivedSegment> = {}): ArchivedSegment => ({
  name: `${timeline}-${number}`,
  timeline,
  startLsn: BigInt(number * SIZE),
  endLsn: BigInt((number + 1) * SIZE),
  path: `/archive/${timeline}-${number}`,
  kind: 'whole',
  sizeBytes: SIZE,
  storedBytes: 1000,
  ...more,
});
const timeline = (id: number, segments: readonly ArchivedSegment[], history: ArchivedTimeline['history'] = []): ArchivedTimeline => ({
  id,
  segments,
  history,
});
const backup = (number: number, on = 1, isGood = true): NeedsWal => ({
  label: `data_${number}`,
  timeline: on,
  startLsn: BigInt(number * SIZE + 40),
  isGood,
});
const reasons = (timelines: readonly ArchivedTimeline[], backups: readonly NeedsWal[]): string[] =>
  planWalRetention(timelines, backups, SIZE).map(({ segment: { name }, keep, reason }) => `${name} ${keep ? 'stays' : 'goes'}: ${reason}`);

const fork = { timeline: 1, switchLsn: BigInt(4 * SIZE + 500), reason: 'no recovery target specified' };

test.each([
  ['wal-without-backup', [timeline(1, [segment(1)])], [], ['1-1 stays: wal-without-backup']],
  ['wal-without-backup', [timeline(1, [segment(1)])], [backup(2, 1, false)], ['1-1 stays: wal-without-backup']],
  ['wal-disputed', [timeline(1, [segment(1), segment(1)])], [backup(5)], ['1-1 stays: wal-disputed', '1-1 stays: wal-disputed']],
  ['wal-tail', [timeline(1, [segment(1, 1, { kind: 'tail' })])], [backup(5)], ['1-1 stays: wal-tail']],
  [
    'wal-of-backup',
    [timeline(1, [segment(1), segment(2), segment(3)])],
    [backup(2), backup(3)],
    ['1-1 goes: wal-before-backups', '1-2 stays: wal-of-backup', '1-3 stays: wal-of-backup'],
  ],
  [
    'wal-before-backups',
    [timeline(1, [segment(1), segment(9)]), timeline(2, [segment(4, 2), segment(5, 2)], [fork])],
    [backup(5, 2)],
    ['1-1 goes: wal-before-backups', '1-9 goes: wal-before-backups', '2-4 goes: wal-before-backups', '2-5 stays: wal-of-backup'],
  ],
  [
    'wal-of-backup',
    [timeline(1, [segment(3)]), timeline(2, [segment(4, 2)], [fork])],
    [backup(3, 1)],
    ['1-3 stays: wal-of-backup', '2-4 stays: wal-of-backup'],
  ],
  ['wal-before-backups', [timeline(2, [segment(4, 2)], [fork])], [backup(6, 1)], ['2-4 goes: wal-before-backups']],
] as const)('%s: %#', (id, timelines, backups, expected) => {
  expect(reasons(timelines, backups)).toEqual(expected);
  expect(expected.join()).toContain(id);
});

test('wal-awaits-its-copy: what a copy does not have yet stays, although no backup here needs it', () => {
  const timelines = [timeline(1, [segment(1), segment(2)]), timeline(2, [segment(3, 2)], [fork])];
  const decided = (awaited: { timeline: number; lsn: bigint }[]): string[] =>
    planWalRetention(timelines, [backup(9, 2)], SIZE, awaited).map(({ segment: { name }, reason }) => `${name} ${reason}`);
  expect(decided([{ timeline: 1, lsn: BigInt(2 * SIZE) }])).toEqual([
    '1-1 wal-before-backups',
    '1-2 wal-awaits-its-copy',
    '2-3 wal-awaits-its-copy',
  ]);
  expect(decided([{ timeline: 2, lsn: BigInt(3 * SIZE + 7) }])).toEqual([
    '1-1 wal-before-backups',
    '1-2 wal-before-backups',
    '2-3 wal-awaits-its-copy',
  ]);
});

test('every row decides something above', () => {
  expect(segmentRows.map(({ id }) => id)).toEqual([
    'wal-disputed',
    'wal-without-backup',
    'wal-tail',
    'wal-of-backup',
    'wal-awaits-its-copy',
    'wal-of-unread-backup',
    'wal-before-backups',
  ]);
});

/** A repository with two base backups of one cluster, of which the older needs all its WAL, and one of another cluster. */
async function repository(): Promise<{ readonly dir: string; readonly archive: WalArchive; readonly kept: () => Promise<string[]> }> {
  const dir = await mkdtemp(join(tmpdir(), 'dbkit-expire-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  const wal = join(dir, 'wal/7000');
  await mkdir(wal, { recursive: true });
  for (const [label, system] of Object.entries({
    data_20260101_000000: '7000',
    data_20260102_000000: '7000',
    data_20260103_000000: '9000',
  })) {
    await mkdir(join(dir, label));
    await writeFile(join(dir, `${label}.json`), JSON.stringify({ schema: 'dbkit.backup/v9', label, systemIdentifier: system }));
  }
  const segments = [1, 2, 9].map((number) => segment(number, 1, { path: join(wal, String(number)) }));
  for (const { path } of segments) await writeFile(path, '');
  const archive = {
    systemIdentifier: '7000',
    dir: wal,
    segmentSizeBytes: async () => SIZE,
    timelines: async () => [timeline(1, segments)],
  };
  return { dir, archive: archive as unknown as WalArchive, kept: async () => (await readdir(wal)).sort() };
}
const log = { warn: () => undefined, info: () => undefined } as unknown as System['log'];
const expire = ({ archive }: { readonly archive: WalArchive }, listed: readonly NeedsWal[]) =>
  expireWal(archive, listed, { dryRun: false, log, awaited: [] }, new AbortController().signal);
const newer = { ...backup(9), label: 'data_20260102_000000' };

test('wal-of-unread-backup: WAL of a backup whose record could not be read just now is no WAL that nobody needs', async () => {
  const one = await repository();
  const { decisions, unread } = await expire(one, [newer]);
  expect(unread).toEqual(['data_20260101_000000']);
  expect(decisions.map(({ reason }) => reason)).toEqual(['wal-of-unread-backup', 'wal-of-unread-backup', 'wal-of-backup']);
  expect(await one.kept()).toEqual(['1', '2', '9']);
  await writeFile(join(one.dir, 'data_20260101_000000.json'), '{'); // Nobody can tell whose it is.
  await expire(one, [newer]);
  expect(await one.kept()).toEqual(['1', '2', '9']);
});

test('a backup of another cluster, one that has gone, and what is no record keep no WAL', async () => {
  const one = await repository();
  await rm(join(one.dir, 'data_20260101_000000'), { recursive: true });
  await mkdir(join(one.dir, 'data_20260104_000000.json'));
  await expire(one, [newer]);
  expect(await one.kept()).toEqual(['9']);
});
