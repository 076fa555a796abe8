import { expect, test } from 'vitest';
import type { ArchivedSegment, ArchivedTimeline } from '../../src/wal/contract.ts';
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
    'wal-before-backups',
  ]);
});
