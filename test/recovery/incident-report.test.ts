import { expect, test } from 'vitest';
import { incidentView } from '../../src/cli/incident.ts';
import { levelsWithin } from '../../src/config/tiers.ts';
import { incidentOf } from '../../src/recovery/incident-report.ts';
import type { Loss } from '../../src/recovery/losses.ts';
import type { RecoveryReport } from '../../src/recovery/report.ts';

const recovery = (losses: readonly Loss[], more: Partial<RecoveryReport> = {}): RecoveryReport => ({
  at: '2026-11-20T10:00:05.000Z',
  durationMs: 5_000,
  readyAt: '2026-11-20T10:04:00.000Z',
  findings: [
    { code: 'directory.missing', path: 'global', evidence: 'a | b', severity: 'corrupt' },
  ] as unknown as RecoveryReport['findings'],
  decision: 'restore',
  reason: null,
  because: 'files are missing, and a good backup exists',
  steps: [{ step: 'restore', because: 'from data_20261120_020000', done: true }],
  quarantine: '/backups/quarantine/corrupt_20261120_100001',
  losses,
  lost: 'what was said',
  trigger: 'monitor',
  ...more,
});
const window = (after: string | null, upTo: string | null): Loss => ({
  kind: 'window',
  after,
  afterLsn: null,
  upTo,
  upToLsn: null,
  oldBytes: null,
});

test.each<[string, readonly Loss[], number | null, boolean | null]>([
  ['nothing is lost', [{ kind: 'nothing' }], 0, true],
  ['a minute of commits', [window('2026-11-20T09:58:00Z', '2026-11-20T09:59:00Z')], 60, true],
  ['two minutes of commits', [window('2026-11-20T09:57:00Z', '2026-11-20T09:59:00Z')], 120, false],
  ['all since the backup', [{ kind: 'since-backup', label: 'data_1', at: '2026-11-20T02:00:05Z', oldBytes: null }], 28_800, false],
  ['the end of the window is not known', [window('2026-11-20T09:58:00Z', null)], null, null],
  [
    'a loss that is no span of time',
    [window('2026-11-20T09:58:00Z', '2026-11-20T09:59:00Z'), { kind: 'cluster', oldBytes: null }],
    null,
    null,
  ],
  ['nothing proves that all is there', [{ kind: 'unknown', reason: 'no-mark', oldBytes: null }], null, null],
])('RPO: %s', (_, losses, seconds, met) => {
  expect(incidentOf(recovery(losses), 1, 'critical').rpo).toEqual({ seconds, targetSeconds: 60, met });
});

test('RTO is counted from the first look until the server answers, against the tier', () => {
  const report = incidentOf(recovery([{ kind: 'nothing' }]), 3, 'critical');
  expect(report).toMatchObject({ number: 3, startedAt: '2026-11-20T10:00:00.000Z', endedAt: '2026-11-20T10:04:00.000Z' });
  expect(report.rto).toEqual({ seconds: 240, targetSeconds: 300, met: true });
  const slow = recovery([{ kind: 'nothing' }], { readyAt: '2026-11-20T10:06:00.000Z' });
  expect(incidentOf(slow, 1, 'critical').rto).toMatchObject({ seconds: 360, met: false });
  expect(incidentOf(slow, 1, undefined).rto).toEqual({ seconds: 360, targetSeconds: null, met: null });
  const { readyAt: _readyAt, ...down } = slow;
  expect(incidentOf(down, 1, 'critical')).toMatchObject({ endedAt: null, rto: { seconds: null, met: null } });
});

test('the report is Markdown: who, when, why, both figures, what is lost and where the old bytes are', () => {
  const text = incidentView(incidentOf(recovery([window('2026-11-20T09:57:00Z', '2026-11-20T09:59:00Z')]), 1, 'critical'));
  for (const line of [
    '# Recovery 1: restore',
    '| asked by | the monitor |',
    '| RTO | 4 min, allowed are 5 min: met |',
    '| RPO | 2 min, allowed are 1 min: **missed** |',
    '| old bytes | `/backups/quarantine/corrupt_20261120_100001` |',
    '- corrupt: `directory.missing` in `global`: a | b',
    '- [x] restore: from data_20261120_020000',
  ])
    expect(text.split('\n')).toContain(line);
});

test('with a tier the archive may never be further behind than the tier may lose', () => {
  const levels = { warning: 300, critical: 3600 };
  expect(levelsWithin(levels, undefined)).toEqual(levels);
  expect(levelsWithin(levels, 'critical')).toEqual({ warning: 30, critical: 60 });
  expect(levelsWithin(levels, 'archive')).toEqual({ warning: 300, critical: 3600 });
});
