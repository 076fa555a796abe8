import { describe, expect, test } from 'vitest';
import { supportedDays, type TonightFacts, tonight } from '../../src/supervisor/doctor/tonight.ts';

const well: TonightFacts = {
  holdsData: true,
  isSupervised: true,
  isHeld: false,
  watchedAgoSeconds: 12,
  isMonitorPaused: false,
  hasGivenUp: false,
  channels: 1,
  unreadSecrets: '',
  copies: 1,
  hasGoodBackup: true,
  provenAgoDays: 3,
  isOnOneDisk: false,
  keepsWal: true,
  hasChecksums: true,
  major: 17,
  supportedDays: 1000,
  writtenAheadSeconds: 0,
  recoveriesThisWeek: 0,
  openFilesMax: 65_536,
  mayChangeIds: true,
  node: '20.19.2',
};
const idsOf = (facts: Partial<TonightFacts>): string[] => tonight.filter(({ when }) => when({ ...well, ...facts })).map(({ id }) => id);

test('where nothing is wrong nothing is told', () => {
  expect(idsOf({})).toEqual([]);
});

const each: Readonly<Record<(typeof tonight)[number]['id'], Partial<TonightFacts>>> = {
  'tonight-held': { isHeld: true },
  'tonight-given-up': { hasGivenUp: true },
  'tonight-clock-went-back': { writtenAheadSeconds: 3600 },
  'tonight-nobody-restarts': { isSupervised: false, watchedAgoSeconds: 3600 },
  'tonight-monitor-paused': { isMonitorPaused: true },
  'tonight-nobody-is-told': { channels: 0 },
  'tonight-secret-not-read': { unreadSecrets: 'team-url' },
  'tonight-all-on-one-disk': { isOnOneDisk: true, copies: 0 },
  'tonight-never-restored': { provenAgoDays: null },
  'tonight-wal-not-kept': { keepsWal: false },
  'tonight-no-checksums': { hasChecksums: false },
  'tonight-version-without-support': { supportedDays: -1 },
  'tonight-version-ends-soon': { supportedDays: 0 },
  'tonight-recovered-often': { recoveriesThisWeek: 3 },
  'tonight-few-descriptors': { openFilesMax: 256 },
  'tonight-node-keeps-root': { mayChangeIds: false },
};

test.each(Object.entries(each))('%s is told alone', (id, facts) => {
  expect(idsOf(facts)).toEqual([id]);
});

test('a copy elsewhere, or a server that a monitor watches, is enough', () => {
  expect(idsOf({ isOnOneDisk: true, copies: 1 })).toEqual([]);
  expect(idsOf({ isSupervised: false, watchedAgoSeconds: 30 })).toEqual([]);
  expect(idsOf({ isSupervised: false, watchedAgoSeconds: null })).toEqual(['tonight-nobody-restarts']);
});

test('what nobody can tell is no complaint, and an empty place needs no supervisor', () => {
  expect(idsOf({ isOnOneDisk: null, hasChecksums: null, supportedDays: null, openFilesMax: null })).toEqual([]);
  expect(idsOf({ holdsData: false, isSupervised: false, watchedAgoSeconds: null, keepsWal: false })).toEqual([]);
});

describe('until a major version gets no more fixes', () => {
  test.each([
    [13, '2025-11-13T12:00:00Z', 0],
    [13, '2025-11-14T12:00:00Z', -1],
    [15, '2027-11-10T12:00:00Z', 1],
    [99, '2026-01-01T00:00:00Z', null],
    [null, '2026-01-01T00:00:00Z', null],
  ])('PostgreSQL %s at %s: %s days', (major, at, days) => {
    expect(supportedDays(major, new Date(at))).toBe(days);
  });
});
