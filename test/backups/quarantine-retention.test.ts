import { expect, test } from 'vitest';
import { planQuarantine, type QuarantinePolicy } from '../../src/backups/quarantine-retention.ts';

const day = 86_400_000;
const policy: QuarantinePolicy = { last: 3, minAgeMs: 7 * day, now: new Date('2026-01-31T00:00:00Z'), reported: new Set() };
const at = (...days: number[]) =>
  days.map((number) => ({ label: `corrupt_202601${String(number).padStart(2, '0')}_000000`, path: `/q/${number}` }));
const gone = (days: number[], more: Partial<QuarantinePolicy> = {}): string[] =>
  planQuarantine(at(...days), { ...policy, ...more })
    .filter(({ keep }) => !keep)
    .map(({ path }) => path);

test.each<[string, number[], Partial<QuarantinePolicy>, string[]]>([
  ['the newest three stay, however old', [1, 2, 3], {}, []],
  ['beyond them what is old goes', [1, 2, 3, 4, 5], {}, ['/q/2', '/q/1']],
  ['what is younger than a week stays', [25, 26, 27, 28, 29, 30], {}, []],
  ['a report that still points there keeps it', [1, 2, 3, 4], { reported: new Set(['/q/1']) }, []],
  ['nothing goes before its time when the clock went back', [10, 11, 12, 13], { now: new Date('2020-01-01T00:00:00Z') }, []],
  ['the newest stay when the clock jumped ahead', [28, 29, 30], { now: new Date('2036-01-01T00:00:00Z') }, []],
])('%s', (_, days, more, expected) => {
  expect(gone(days, more)).toEqual(expected);
});

test('what dbkit did not name is not even judged', () => {
  expect(planQuarantine([{ label: 'my-own-copy', path: '/q/my-own-copy' }], { ...policy, last: 0 })).toEqual([]);
});

test('every decision has its reason', () => {
  const reported = new Set(['/q/2']);
  expect(planQuarantine(at(1, 2, 26, 27, 28, 29), { ...policy, reported }).map(({ because }) => because)).toEqual([
    'it is one of the newest 3',
    'it is one of the newest 3',
    'it is one of the newest 3',
    'it is younger than 7 days',
    'the last recovery report points to it',
    '5 newer ones exist, and it is old enough',
  ]);
});
