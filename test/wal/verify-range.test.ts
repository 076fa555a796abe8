import { expect, test } from 'vitest';
import type { ArchivedSegment, ArchivedTimeline } from '../../src/wal/contract.ts';
import { uncoveredIn, type WalRange, within } from '../../src/wal/verify.ts';
import { SIZE } from '../harness/wal-files.ts';

const at = (number: number): bigint => BigInt(number * SIZE);
const segment = (number: number, timeline: number): ArchivedSegment => ({
  ...{ name: `${timeline}-${number}`, timeline, startLsn: at(number), endLsn: at(number + 1), path: '', kind: 'whole' },
  ...{ sizeBytes: SIZE, storedBytes: 1 },
});
const timeline = (
  id: number,
  numbers: readonly number[],
  forks: readonly [timeline: number, switchLsn: bigint][] = [],
): ArchivedTimeline => ({
  id,
  history: forks.map(([parent, switchLsn]) => ({ timeline: parent, switchLsn, reason: '' })),
  segments: numbers.map((number) => segment(number, id)),
});
const archive = [timeline(1, [3, 4, 5, 6, 7]), timeline(2, [5, 6, 7], [[1, at(5) + 100n]]), timeline(3, [4, 5], [[1, at(4) + 9n]])];
const look = (range: WalRange) => {
  const found = within(range, archive);
  return {
    names: found.flatMap(({ segments }) => segments.map(({ name }) => name)),
    missing: uncoveredIn(range, found).map(({ evidence }) => evidence),
  };
};
const none = { from: undefined, to: undefined };

test('a range has the segments of its timeline, and of its ancestors as far as they were followed', () => {
  expect(look({ timeline: 1, from: at(4) + 1n, to: at(6) })).toEqual({ names: ['1-4', '1-5'], missing: [] });
  expect(look({ timeline: 2, ...none }).names).toEqual(['1-3', '1-4', '1-5', '2-5', '2-6', '2-7']);
  expect(look({ timeline: 2, from: at(6), to: at(6) + 1n })).toEqual({ names: ['2-6'], missing: [] });
  expect(look({ timeline: 3, ...none })).toEqual({ names: ['1-3', '1-4', '3-4', '3-5'], missing: [] });
});

test('what lies between two moments and is not there is told: at the beginning, at the end, or all of it', () => {
  const mib = (number: number): string => `0/${(number * SIZE).toString(16).toUpperCase()}`;
  expect(look({ timeline: 1, from: at(2), to: at(4) }).missing).toEqual([`nothing from LSN ${mib(2)} to ${mib(3)}`]);
  expect(look({ timeline: 3, from: at(4), to: at(8) }).missing).toEqual([`nothing from LSN ${mib(6)} to ${mib(8)}`]);
  expect(look({ timeline: 1, from: at(9), to: at(10) })).toEqual({ names: [], missing: [`nothing from LSN ${mib(9)} to ${mib(10)}`] });
});

test('where one timeline does not reach the next, the WAL between them is missing', () => {
  const torn = [timeline(1, [3]), timeline(2, [5], [[1, at(5)]])];
  expect(uncoveredIn({ timeline: 2, ...none }, within({ timeline: 2, ...none }, torn))).toMatchObject([
    { id: 'wal-segments-missing', timeline: 2 },
  ]);
});
