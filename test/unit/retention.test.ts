import { expect, test } from 'vitest';
import type { Backup } from '../../src/core/backups.ts';
import { planRetention, type RetentionPolicy } from '../../src/core/retention.ts';

type Entry = Pick<Backup, 'label' | 'state' | 'systemIdentifier'>;
/** `good damaged good` → three backups, oldest first, a day apart. */
const backups = (states: string): Entry[] =>
  states.split(' ').map((state, day) => ({
    label: `data_202601${String(day + 1).padStart(2, '0')}_000000`,
    state: state as Entry['state'],
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
])('%s', (_, states, last, expected) => {
  expect(kept(states, { last })).toBe(expected);
});

test('a backup just made stays when a clock that was wrong by years left newer labels', () => {
  const fromTheFuture = { label: 'data_20380101_000000', state: 'good', systemIdentifier: '1' } as const;
  const plan = planRetention([...backups('good good'), fromTheFuture], { last: 1, justMade: 'data_20260102_000000' });
  expect(plan).toEqual([
    { label: 'data_20380101_000000', keep: true, because: 'it is the newest good backup' },
    { label: 'data_20260102_000000', keep: true, because: 'it was made just now' },
    { label: 'data_20260101_000000', keep: false, because: '1 newer good backups exist' },
  ]);
});

test('every decision has its reason', () => {
  const reasons = planRetention(backups('damaged good proven good damaged good'), { last: 2 }).map(({ because }) => because);
  expect(reasons).toEqual([
    'it is the newest good backup',
    'it is damaged, but may hold what later backups lost',
    'it is one of the newest 2 good backups',
    'it is the newest that a restore has proven',
    '2 newer good backups exist',
    'it is damaged, and 4 newer good backups exist',
  ]);
});

test("a new cluster's backups never push out those of the one it replaced", () => {
  const [old, ...fresh] = backups('good good good good');
  const plan = planRetention([{ ...old!, systemIdentifier: '2' }, ...fresh], { last: 2 });
  expect(plan.map(({ keep }) => keep)).toEqual([true, true, false, true]);
});
