import { expect, test } from 'vitest';
import { inZone, parseInstant } from '../../src/restore/instant.ts';

const iso = (text: string, zone: string): string => {
  const micros = parseInstant(text, zone);
  return `${new Date(Number(micros / 1000n)).toISOString().slice(0, 19)}.${(micros % 1_000_000n).toString().padStart(6, '0')}`;
};

test.each([
  ['2026-01-13 10:00:00+00', 'Europe/Berlin', '2026-01-13T10:00:00.000000'],
  ['2026-01-13T10:00Z', 'Europe/Berlin', '2026-01-13T10:00:00.000000'],
  ['2026-01-13 10:00:00.1234+0530', 'UTC', '2026-01-13T04:30:00.123400'],
  ['2026-01-13 10:00:00', 'Europe/Berlin', '2026-01-13T09:00:00.000000'],
  ['2026-07-13 10:00:00', 'Europe/Berlin', '2026-07-13T08:00:00.000000'],
  ['2026-07-13 10:00:00 America/New_York', 'UTC', '2026-07-13T14:00:00.000000'],
  ['2026-03-29 03:00:00', 'Europe/Berlin', '2026-03-29T01:00:00.000000'],
] as const)('%s in %s', (text, zone, expected) => {
  expect(iso(text, zone)).toBe(expected);
});

test.each([
  ['yesterday', /is not a time/],
  ['2026-02-30 10:00:00', /is not a time/],
  ['2026-03-29 02:30:00', /skipped that time/],
  ['2026-10-25 02:30:00', /showed that time twice/],
  ['2026-10-25 02:30:00 Mars/Olympus', /not known here/],
] as const)('%s is no moment', (text, why) => {
  expect(() => parseInstant(text, 'Europe/Berlin')).toThrow(why);
});

test('a moment is said back as the zone’s clocks show it', () => {
  expect(inZone(parseInstant('2026-07-13 08:00:00.5Z', 'UTC'), 'Europe/Berlin')).toBe('2026-07-13 10:00:00.500000 (Europe/Berlin)');
});
