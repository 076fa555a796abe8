import { expect, test } from 'vitest';
import { contradictions, figuresOf, type Witnesses } from '../../src/inspection/contradictions.ts';
import { fill } from '../../src/kernel/reasons.ts';

const sound: Witnesses = {
  control: { systemIdentifier: '1', state: 'shut down', checkpointLsn: 100n, nextOid: 20_000 },
  walOf: [],
  hasItsWal: true,
  walGoesOn: false,
  hasUserFiles: false,
  newerPage: undefined,
  noted: { systemIdentifier: '1', lsn: 100n },
};
const id = (seen: Partial<Witnesses>): string | undefined => contradictions.find(({ when }) => when({ ...sound, ...seen }))?.id;
const cases: readonly (readonly [row: string, seen: Partial<Witnesses>])[] = [
  ['wal-of-another-cluster', { hasItsWal: false, walOf: ['2'], noted: { systemIdentifier: '2', lsn: 90n } }],
  ['wal-goes-on', { walGoesOn: true }],
  ['never-held-an-object', { hasItsWal: false, noted: undefined, hasUserFiles: true, control: { ...sound.control, nextOid: 16_384 } }],
  ['newer-page', { newerPage: 'page 3 of base/5/16386 was written at 0/200' }],
  ['wal-of-nobody-known', { hasItsWal: false, walOf: ['2'], noted: undefined }],
  ['noted-of-another-cluster', { hasItsWal: false, noted: { systemIdentifier: '2', lsn: 90n } }],
  ['noted-later', { hasItsWal: false, noted: { systemIdentifier: '1', lsn: 101n } }],
];

test.each(cases)('%s', (row, seen) => {
  expect(id(seen)).toBe(row);
});

test('every row is reached, and says what it saw', () => {
  expect(new Set(cases.map(([row]) => row))).toEqual(new Set(contradictions.map(({ id: row }) => row)));
  for (const [row, seen] of cases)
    expect(fill(contradictions.find((one) => one.id === row)!.words, figuresOf({ ...sound, ...seen }))).toMatch(/^its? [^{}]*$/);
});

test('nothing stands against a pg_control that all agree with', () => {
  expect(id({})).toBeUndefined();
});

test('WAL of another cluster beside the pg_control that was noted is not the fault of that pg_control', () => {
  expect(id({ hasItsWal: false, walOf: ['2'] })).toBeUndefined();
});

test('only a cluster that was shut down has no page that is newer', () => {
  expect(id({ newerPage: 'page 3', walGoesOn: true, control: { ...sound.control, state: 'in production' } })).toBeUndefined();
});
