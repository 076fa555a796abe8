import { expect, test } from 'vitest';
import type { CopyStanding } from '../../src/backups/offsite/standing.ts';
import { judgeCopies } from '../../src/health/probes/judge-copies.ts';

const now = new Date('2026-11-21T12:00:00Z');
const limits = { copyAge: { warning: 48, critical: 168 }, walDelay: { warning: 30, critical: 60 }, rpoSeconds: 60 };
const noted = (day: number, more: object = {}) => ({
  label: `data_202611${day}_120000`,
  createdAt: `2026-11-${day}T12:00:00Z`,
  copiedAt: `2026-11-${day}T12:01:00Z`,
  verifiedAt: `2026-11-${day}T12:02:00Z`,
  problem: null,
  ...more,
});
const standing = (more: Partial<CopyStanding> = {}): CopyStanding => ({
  name: 'offsite',
  notes: { backups: [noted(19), noted(21)], failing: null },
  key: { state: 'absent', problem: null },
  wal: undefined,
  ...more,
});
const failing = (since: string) => ({ backups: [noted(19), noted(20)], failing: { since, message: 'the bucket does not answer' } });

const sent = (seconds: number | null, message?: string): CopyStanding['wal'] => ({
  ...{ name: 'offsite', isContinuous: true, isAwaited: true },
  end: seconds === null ? null : { timeline: 1, lsn: 100n, at: new Date(now.getTime() - seconds * 1000) },
  failing: message === undefined ? null : { since: '2026-11-21T11:00:00Z', message },
  lag: seconds === null ? null : { bytes: 4096, seconds },
});

test.each<[string, Partial<CopyStanding>, string, RegExp]>([
  ['its WAL is a moment behind', { wal: sent(12) }, 'ok', /verified/],
  [
    'its WAL is later than half of what the tier may lose',
    { wal: sent(40) },
    'warning',
    /its WAL is 4.0 KiB behind, for 40 s, and the tier may lose 60 s$/,
  ],
  ['its WAL is later than the tier may lose, and why', { wal: sent(90, 'it is full') }, 'critical', /behind, for 90 s, .*: it is full/],
  ['its WAL was never sent', { wal: sent(null, 'it is away') }, 'critical', /has not been sent for 60 min.*: it is away/],
  [
    'its WAL is late, and a backup there is damaged',
    { wal: sent(40), notes: { backups: [noted(21, { problem: 'packs/1 is missing' })], failing: null } },
    'critical',
    /is damaged there/,
  ],
  ['a verified copy of today, no identity here', {}, 'ok', /offsite has data_20261121_120000, .* old, verified/],
  [
    'no listed identity can be used',
    { key: { state: 'does-not-open', problem: 'the identity that is given opens nothing here' } },
    'critical',
    /opens nothing here/,
  ],
  [
    'a backup is damaged there',
    { notes: { backups: [noted(19, { problem: 'packs/1 is missing' }), noted(21)], failing: null } },
    'critical',
    /data_20261119_120000 is damaged there: packs\/1 is missing/,
  ],
  ['it has failed for an hour', { notes: failing('2026-11-21T11:00:00Z') }, 'warning', /nothing could be copied for 60 min: the bucket/],
  ['it has failed for ten days', { notes: failing('2026-11-11T11:00:00Z') }, 'critical', /nothing could be copied for 10 d/],
  [
    'it fails since an hour, and what is there is ten days old',
    { notes: { ...failing('2026-11-21T11:00:00Z'), backups: [noted(11)] } },
    'critical',
    /nothing could be copied/,
  ],
  ['nothing was copied yet', { notes: { backups: [], failing: null } }, 'warning', /nothing is known to be there/],
  [
    'what is there was never read back',
    { notes: { backups: [noted(21, { verifiedAt: null })], failing: null } },
    'warning',
    /nothing is known to be there/,
  ],
  ['the newest is three days old', { notes: { backups: [noted(18)], failing: null } }, 'warning', /data_20261118_120000, 3 d old/],
  ['the newest is ten days old', { notes: { backups: [noted(11)], failing: null } }, 'critical', /data_20261111_120000, 10 d old/],
])('%s', (_, more, status, summary) => {
  expect(judgeCopies([standing(more)], limits, now)).toMatchObject({ status, summary: expect.stringMatching(summary) });
});

test('of several copies the worst one counts, and its words are told', () => {
  const bad = standing({ name: 'nas', notes: { backups: [], failing: null } });
  const { status, summary, data } = judgeCopies([standing(), bad], limits, now);
  expect({ status, summary }).toEqual({ status: 'warning', summary: 'nas: nothing is known to be there' });
  expect(data).toMatchObject([
    { name: 'offsite', label: 'data_20261121_120000', backups: 2, ageSeconds: 0 },
    { name: 'nas', label: null, backups: 0 },
  ]);
});
