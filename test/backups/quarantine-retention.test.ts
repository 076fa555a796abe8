import { expect, test } from 'vitest';
import {
  planQuarantine,
  type QuarantineFacts,
  type QuarantinePolicy,
  type QuarantineRule,
  quarantineRules,
} from '../../src/backups/quarantine-retention.ts';
import { decide } from '../../src/kernel/reasons.ts';
import { everyRow } from '../harness/every-row.ts';

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
  expect(planQuarantine(at(1, 2, 26, 27, 28, 29), { ...policy, reported }).map(({ reason }) => reason)).toEqual([
    'one-of-the-newest-aside',
    'one-of-the-newest-aside',
    'one-of-the-newest-aside',
    'too-young-to-expire',
    'report-points-to-it',
    'old-enough',
  ]);
});

const facts: QuarantineFacts = { reported: false, newer: 5, ageMs: 30 * day, last: 3, minAgeMs: 7 * day, minAgeDays: 7 };
everyRow<QuarantineRule, QuarantineFacts>('quarantine', (given) => decide(quarantineRules, given), {
  'report-points-to-it': { ...facts, reported: true },
  'one-of-the-newest-aside': { ...facts, newer: 2 },
  'dated-in-the-future': { ...facts, ageMs: -1 },
  'too-young-to-expire': { ...facts, ageMs: day },
  'old-enough': facts,
});
