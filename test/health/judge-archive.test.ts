import { expect, test } from 'vitest';
import { type ArchiveFacts, judgeArchive } from '../../src/health/probes/judge-archive.ts';
import type { WalKeepingState } from '../../src/wal/keeping.ts';

const now = new Date('2026-11-28T12:00:00Z');
const levels = { archiveDelay: { warning: 300, critical: 3600 } };
const keeping: WalKeepingState = {
  systemIdentifier: '77',
  timeline: 1,
  state: 'keeping',
  problem: null,
  guarded: true,
  synchronous: false,
  gaps: [],
  at: '2026-11-28T11:00:00Z',
};
const facts: ArchiveFacts = {
  keeping,
  end: { timeline: 1, lsn: 0x3000028n, at: now },
  lag: { bytes: 0, seconds: 0 },
  backupsAt: ['2026-11-27T10:00:00Z', '2026-11-28T10:00:00Z'],
};
const since = (at: string): WalKeepingState => ({
  ...keeping,
  state: 'failing',
  problem: { code: 'volume.full', message: 'no space left', hint: 'free some', since: at },
});
const gap = { timeline: 1, fromLsn: '0/1000000', toLsn: '0/2000000', at: '2026-11-28T11:00:00Z' };

test.each([
  [{ keeping: undefined }, 'skipped', /no WAL is kept/],
  [{ keeping: { ...keeping, state: 'stopped' } }, 'skipped', /does not run/],
  [{ keeping: since('2026-11-28T11:59:50Z') }, 'warning', /not been kept for 10 s: no space left/],
  [{ keeping: since('2026-11-28T10:00:00Z') }, 'critical', /not been kept for 2 h/],
  [{ keeping: { ...keeping, gaps: [gap] } }, 'critical', /from LSN 0\/1000000 to 0\/2000000 is missing/],
  [{ keeping: { ...keeping, gaps: [gap] }, backupsAt: [] }, 'critical', /no base backup was taken since/],
  [
    { keeping: { ...keeping, gaps: [gap] }, backupsAt: ['2026-11-28T10:00:00Z', '2026-11-28T11:30:00Z'] },
    'ok',
    /kept up to LSN 0\/3000028; nothing is missing/,
  ],
  [{ keeping: { ...keeping, state: 'waiting' } }, 'ok', /standby/],
  [{ lag: { bytes: 1000, seconds: 301 } }, 'warning', /1000 B and 5 min behind/],
  [{ lag: { bytes: 1000, seconds: 4000 } }, 'critical', /behind/],
  [{ lag: { bytes: 0, seconds: 4000 } }, 'ok', /nothing is missing/],
  [{ keeping: { ...keeping, guarded: false } }, 'warning', /no replication slot/],
  [{ lag: null }, 'ok', /not known/],
  [{ end: null, lag: null }, 'ok', /nothing was kept yet/],
] as const)('%j is %s', (seen, status, summary) => {
  const judged = judgeArchive({ ...facts, ...(seen as Partial<ArchiveFacts>) }, levels, now);
  expect(judged).toMatchObject({ status, summary: expect.stringMatching(summary) });
  if (status === 'warning' || status === 'critical') expect(judged.hint).toBeTruthy();
});

test.each<[Partial<ArchiveFacts>, string | null]>([
  [{}, '2026-11-27T10:00:00Z'],
  [{ keeping: { ...keeping, gaps: [{ ...gap, at: '2026-11-27T11:00:00Z' }] } }, '2026-11-28T10:00:00Z'],
  [{ keeping: { ...keeping, gaps: [gap] } }, null],
  [{ backupsAt: [] }, null],
  [{ end: null, lag: null }, null],
])('with %j moments come back from %s on', (seen, fromAt) => {
  expect(judgeArchive({ ...facts, ...seen }, levels, now).data).toMatchObject({ fromAt });
});
