import { expect, test } from 'vitest';
import type { Backup } from '../../src/backups/backup.ts';
import {
  planRetention,
  type RetentionFacts,
  type RetentionPolicy,
  type RetentionRule,
  retentionRules,
} from '../../src/backups/retention.ts';
import { decide } from '../../src/kernel/reasons.ts';
import { everyRow } from '../harness/every-row.ts';

type Entry = Pick<Backup, 'label' | 'state' | 'systemIdentifier' | 'pinned'>;
/** `good damaged good` → three backups, oldest first, a day apart; a `!` pins. */
const backups = (states: string): Entry[] =>
  states.split(' ').map((state, day) => ({
    label: `data_202601${String(day + 1).padStart(2, '0')}_000000`,
    state: state.replace('!', '') as Entry['state'],
    pinned: state.endsWith('!'),
    systemIdentifier: '1',
  }));
/** What is kept, oldest first, as a string of + and -. */
const kept = (states: string, policy: RetentionPolicy): string =>
  planRetention(backups(states), policy)
    .map(({ keep }) => (keep ? '+' : '-'))
    .reverse()
    .join('');

test.each([
  ['the newest good ones are kept', 'good good good good', 2, '--++'],
  ['verified and proven ones are good', 'verified proven good', 2, '-++'],
  ['fewer than wanted are all kept', 'good good', 7, '++'],
  ['damaged ones do not count', 'good good damaged damaged', 2, '++++'],
  ['a damaged one goes when enough newer good ones exist', 'damaged good damaged good good', 2, '---++'],
  ['without a good one nothing goes', 'damaged damaged damaged', 1, '+++'],
  ['the last good one stays under a policy of nothing', 'good good', 0, '-+'],
  ['the newest proven one stays', 'proven proven good good good', 1, '-+--+'],
  ['pinned ones stay, beside as many others', 'good! good good good! good', 1, '+--++'],
  ['a pinned one that is damaged stays and does not count', 'damaged! good good', 1, '+-+'],
  ['the last good one may be a pinned one', 'good damaged good!', 1, '+++'],
])('%s', (_, states, last, expected) => {
  expect(kept(states, { last })).toBe(expected);
});

test('a backup just made stays when a clock that was wrong by years left newer labels', () => {
  const fromTheFuture = { label: 'data_20380101_000000', state: 'good', systemIdentifier: '1' } as const;
  const plan = planRetention([...backups('good good'), fromTheFuture], { last: 1, justMade: 'data_20260102_000000' });
  expect(plan).toEqual([
    expect.objectContaining({ label: 'data_20380101_000000', keep: true, reason: 'newest-good' }),
    expect.objectContaining({ label: 'data_20260102_000000', keep: true, reason: 'just-made' }),
    expect.objectContaining({ label: 'data_20260101_000000', keep: false, reason: 'enough-newer' }),
  ]);
});

test('nothing expires before the copy that is asked for is verified; what is damaged waits for none', () => {
  const awaits = (label: string): string[] => (label === 'data_20260102_000000' ? [] : ['offsite']);
  const plan = planRetention(backups('damaged good good good good'), { last: 1, maxAgeMs: 1, awaits });
  expect(plan.map(({ keep, reason }) => [keep, reason]).reverse()).toEqual([
    [false, 'damaged-and-enough-newer'],
    [false, 'enough-newer'],
    [true, 'awaits-its-copy'],
    [true, 'awaits-its-copy'],
    [true, 'newest-good'],
  ]);
});

test('every decision has its reason', () => {
  const reasons = planRetention(backups('damaged good proven good damaged good'), { last: 2 }).map(({ reason }) => reason);
  expect(reasons).toEqual([
    'newest-good',
    'damaged-but-needed',
    'one-of-the-newest',
    'newest-proven',
    'enough-newer',
    'damaged-and-enough-newer',
  ]);
});

test("a new cluster's backups never push out those of the one it replaced", () => {
  const [old, ...fresh] = backups('good good good good');
  const plan = planRetention([{ ...old!, systemIdentifier: '2' }, ...fresh], { last: 2 });
  expect(plan.map(({ keep }) => keep)).toEqual([true, true, false, true]);
});

/** One good backup for each time, which is written 'YYYYMMDD HH'. */
const at = (...times: string[]): Entry[] =>
  times.map((time) => ({ label: `data_${time.replace(' ', '_')}0000`, state: 'good', systemIdentifier: '1' }));
const keptAt = (times: string[], policy: RetentionPolicy): string[] =>
  planRetention(at(...times), policy)
    .filter(({ keep }) => keep)
    .map(({ label }) => `${label.slice(5, 13)} ${label.slice(14, 16)}`);

test.each<[string, string[], RetentionPolicy, string[]]>([
  [
    'a day keeps its last',
    ['20260101 03', '20260101 21', '20260102 03', '20260102 21'],
    { last: 1, daily: 2 },
    ['20260102 21', '20260101 21'],
  ],
  [
    'days without a backup do not count',
    ['20260101 03', '20260301 03', '20260302 03'],
    { last: 1, daily: 3 },
    ['20260302 03', '20260301 03', '20260101 03'],
  ],
  [
    'a week begins on Monday',
    ['20260104 03', '20260105 03', '20260111 03', '20260112 03'],
    { last: 1, weekly: 3 },
    ['20260112 03', '20260111 03', '20260104 03'],
  ],
  [
    'a month keeps its last',
    ['20251130 03', '20251201 03', '20251231 03', '20260101 03'],
    { last: 1, monthly: 2 },
    ['20260101 03', '20251231 03'],
  ],
  [
    'rules add up',
    ['20251231 03', '20260103 03', '20260104 03', '20260104 09', '20260104 12'],
    { last: 2, daily: 2, monthly: 2 },
    ['20260104 12', '20260104 09', '20260103 03', '20251231 03'],
  ],
  [
    'beyond the greatest age only the newest stays',
    ['20260101 03', '20260102 03', '20260103 04', '20260104 05'],
    { last: 9, maxAgeMs: 30 * 3_600_000 },
    ['20260104 05', '20260103 04'],
  ],
])('%s', (_, times, policy, expected) => {
  expect(keptAt(times, policy)).toEqual(expected);
});

test('a clock that jumps ten years ahead expires nothing by age, for a gap is no age', () => {
  const policy = { last: 9, maxAgeMs: 48 * 3_600_000 };
  expect(keptAt(['20260101 03', '20260102 03', '20360101 03', '20360101 04'], policy)).toHaveLength(4);
  const proven = at('20260101 03').map((backup) => ({ ...backup, state: 'proven' as const }));
  const plan = planRetention([...proven, ...at('20260102 03', '20260103 03', '20260104 04')], policy);
  expect(plan.at(-1)).toMatchObject({ label: 'data_20260101_030000', keep: true, reason: 'newest-proven' });
});

const facts: RetentionFacts = {
  last: 2,
  daily: 0,
  weekly: 0,
  monthly: 0,
  justMade: false,
  pinned: false,
  good: true,
  newestGood: false,
  newestProven: false,
  tooOld: false,
  awaited: '',
  newerGood: 5,
  totalGood: 6,
  newerDays: null,
  newerWeeks: null,
  newerMonths: null,
  isMarked: false,
  newerAlike: 0,
  damageIsOpen: false,
};
everyRow<RetentionRule, RetentionFacts>('retention', (given) => decide(retentionRules, given), {
  'known-damage-and-enough-newer': { ...facts, good: false, isMarked: true, newerAlike: 2 },
  'no-good-backup': { ...facts, good: false, totalGood: 0 },
  pinned: { ...facts, pinned: true },
  'just-made': { ...facts, justMade: true },
  'newest-good': { ...facts, newestGood: true, newerGood: 0 },
  'newest-proven': { ...facts, newestProven: true },
  'may-hold-what-is-damaged': { ...facts, damageIsOpen: true },
  'too-old': { ...facts, tooOld: true, newerGood: 1 },
  'one-of-the-newest': { ...facts, newerGood: 1 },
  'newest-of-its-day': { ...facts, daily: 7, newerDays: 3 },
  'newest-of-its-week': { ...facts, weekly: 4, newerWeeks: 3 },
  'newest-of-its-month': { ...facts, monthly: 12, newerMonths: 3 },
  'awaits-its-copy': { ...facts, tooOld: true, awaited: 'offsite' },
  'enough-newer': facts,
  'damaged-and-enough-newer': { ...facts, good: false },
  'damaged-but-needed': { ...facts, good: false, newerGood: 1 },
});

const lacking = (label: string, ...paths: readonly string[]): Parameters<typeof planRetention>[0][number] => ({
  label,
  state: 'good',
  systemIdentifier: '1',
  knownDamage: paths.map((path) => ({ code: 'page.lost', path, evidence: '', severity: 'certain', since: '' })),
});

test('backups of data with known damage never push out those that may hold what it lost', () => {
  const marked = [5, 6, 7].map((day) => lacking(`data_2026010${day}_000000`, 'base/5/1'));
  const plan = planRetention([...backups('good good good good'), ...marked], { last: 2 });
  expect(plan.filter(({ keep }) => keep).map(({ label }) => label)).toEqual([
    'data_20260107_000000',
    'data_20260106_000000',
    'data_20260104_000000',
    'data_20260103_000000',
    'data_20260102_000000',
    'data_20260101_000000',
  ]);
  expect(plan.at(-1)?.reason).toBe('may-hold-what-is-damaged');
  expect(plan.find(({ keep }) => !keep)?.reason).toBe('known-damage-and-enough-newer');
});

test('one that lacks less stays beside those that lack more', () => {
  const plan = planRetention([lacking('data_20260101_000000', 'a'), lacking('data_20260102_000000', 'a', 'b'), ...[]], { last: 1 });
  expect(plan.every(({ keep }) => keep)).toBe(true);
});

test('while damage is open nothing that may hold it goes, and once it is accepted the policy goes on', () => {
  const all = backups('good good good good');
  expect(planRetention(all, { last: 1, damageIsOpen: true }).every(({ keep }) => keep)).toBe(true);
  expect(planRetention(all, { last: 1 }).filter(({ keep }) => keep)).toHaveLength(1);
});

test('a backup of data with known damage goes only when its copy is verified, like any other', () => {
  const marked = [5, 6, 7].map((day) => lacking(`data_2026010${day}_000000`, 'base/5/1'));
  const reasonWith = (awaited: readonly string[]): string | undefined =>
    planRetention(marked, { last: 2, awaits: () => awaited }).at(-1)?.reason;
  expect(reasonWith([])).toBe('known-damage-and-enough-newer');
  expect(planRetention([...backups('good'), ...marked], { last: 2, awaits: () => ['offsite'] })[2]).toMatchObject({
    keep: true,
    reason: 'awaits-its-copy',
  });
  expect(reasonWith(['offsite'])).toBe('no-good-backup');
});
