import { expect, test } from 'vitest';
import type { Backup } from '../../src/backups/backup.ts';
import { judged, withinTier } from '../../src/health/probes/backups.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const backup = (label: string, createdAt: string): Backup => ({ label, createdAt, state: 'good' }) as Backup;
const since = (iso: string): number => (NOW - Date.parse(iso)) / 1000;

test('a backup that a clock years ahead has named does not hide that the others are old', () => {
  const old = backup('data_20261101_120000', '2026-11-01T12:00:00Z');
  const ahead = backup('data_20361120_120000', '2036-11-20T12:00:00Z');
  const levels = { warning: 48, critical: 168 };
  expect(judged([old], levels, since).status).toBe('critical');
  const both = judged([ahead, old], levels, since);
  expect(both).toMatchObject({
    status: 'critical',
    summary: expect.stringMatching(/data_20361120_120000 is dated in the future/),
  });
  expect(judged([ahead, backup('data_20261121_110000', '2026-11-21T11:00:00Z')], levels, since).status).toBe('warning');
});

test('a rehearsed restore that took longer than the tier allows is a warning, with both figures for machines', () => {
  const sound = judged([backup('data_20261121_110000', '2026-11-21T11:00:00Z')], { warning: 48, critical: 168 }, since);
  expect(withinTier(sound, 400, 'critical')).toMatchObject({
    status: 'warning',
    summary: expect.stringMatching(/a restore took 6 min, and the tier critical allows 5 min/),
    data: { restoreSeconds: 400, rtoSeconds: 300 },
  });
  for (const [seconds, tier] of [
    [400, undefined],
    [400, 'high'],
    [null, 'critical'],
  ] as const)
    expect(withinTier(sound, seconds, tier)).toMatchObject({ status: sound.status, summary: sound.summary });
});
