import { expect, test } from 'vitest';
import { type ShortfallFacts, shortfallLoss, shortfallOf, shortfalls } from '../../src/recovery/shortfall.ts';

const mark = { timeline: 1, lastRecordLsn: 0x3000f00n, flushedLsn: 0x3000f78n, at: '2026-11-28T03:00:00.000Z' };
const crashed: ShortfallFacts = {
  follows: false,
  wasClean: false,
  isRestored: false,
  wentOnAt: 0x3000f78n,
  timeline: 1,
  mark,
  behindGap: undefined,
  isUnproven: false,
  isTailTorn: false,
  broughtUpTo: undefined,
};
const behindGap = { end: 0x5000000n, commits: 3, firstAt: null, lastAt: '2026-11-28T03:01:00.000Z' };
const cases: readonly (readonly [row: string, facts: Partial<ShortfallFacts>, kind: string])[] = [
  ['follows-another', { follows: true, mark: undefined }, 'none'],
  ['behind-a-gap', { behindGap }, 'window'],
  ['no-mark-after-a-crash', { mark: undefined }, 'unknown'],
  ['no-mark', { mark: undefined, wasClean: true }, 'none'],
  ['another-timeline', { timeline: 2, wentOnAt: 0x2000000n }, 'none'],
  ['short-of-the-mark', { wentOnAt: 0x3000f00n }, 'window'],
  ['ends-in-the-archive', { broughtUpTo: 0x3000f78n, isTailTorn: true }, 'window'],
  ['torn-tail', { isTailTorn: true }, 'unknown'],
  ['no-inventory-after-a-stop', { wasClean: true, isUnproven: true }, 'unknown'],
  ['came-to-the-mark', {}, 'none'],
];

test.each(cases)('%s', (row, changes, kind) => {
  const facts = { ...crashed, ...changes };
  expect(shortfalls.find(({ when }) => when(facts))!.id).toBe(row);
  expect(shortfallOf(facts).kind).toBe(kind);
});

test('every row is reached', () => {
  expect(cases.map(([row]) => row)).toEqual(shortfalls.map(({ id }) => id));
});

test('after a clean shutdown the last record is the checkpoint that pg_control names', () => {
  expect(shortfallOf({ ...crashed, wasClean: true, wentOnAt: mark.lastRecordLsn }).kind).toBe('none');
  expect(shortfallOf({ ...crashed, wasClean: true, wentOnAt: mark.lastRecordLsn - 8n }).kind).toBe('window');
});

test('a restored copy that has no mark was told about when it was restored', () => {
  expect(shortfallOf({ ...crashed, mark: undefined, isRestored: true }).kind).toBe('none');
});

test('the window ends where the WAL was known to have come', () => {
  const short = shortfallOf({ ...crashed, wentOnAt: 0x3000100n });
  if (short.kind === 'none') throw new Error('it came short');
  expect(shortfallLoss(short)).toEqual({
    kind: 'window',
    after: null,
    afterLsn: '0/3000100',
    upTo: mark.at,
    upToLsn: '0/3000F78',
    oldBytes: null,
  });
});
