import * as v from 'valibot';
import { expect, test } from 'vitest';
import type { Alert } from '../../src/alerts/alert.ts';
import type { Backups } from '../../src/backups/backup.ts';
import { configSchema } from '../../src/config/config.ts';
import { decide } from '../../src/kernel/reasons.ts';
import { tellOfArchive } from '../../src/supervisor/archive-alerts.ts';
import { type TroubleFacts, troubleOfArchive } from '../../src/supervisor/archive-trouble.ts';
import type { WalKeepingState } from '../../src/wal/keeping.ts';
import { everyRow } from '../harness/every-row.ts';

const NOW = Date.parse('2026-11-28T10:00:00Z');
const keeping: WalKeepingState = {
  ...{
    systemIdentifier: '77',
    timeline: 1,
    state: 'keeping',
    problem: null,
    guarded: true,
    synchronous: false,
    gaps: [],
    at: '2026-11-28T09:00:00.000Z',
  },
};
const gap = { timeline: 1, fromLsn: '0/3000000', toLsn: '0/5000000', at: '2026-11-28T09:30:00.000Z' };
const failingSince = (since: string): WalKeepingState => ({
  ...keeping,
  state: 'failing',
  problem: { code: 'volume.full', message: 'no space is left', hint: 'make room', since },
});
const facts: TroubleFacts = { keeping, backupAt: null, limitSeconds: 30, nowMs: NOW };

everyRow('the archive', (given: TroubleFacts) => decide(troubleOfArchive, given), {
  'archive-gap': { ...facts, keeping: { ...keeping, gaps: [gap] }, backupAt: '2026-11-28T09:00:00.000Z' },
  'archive-not-written': { ...facts, keeping: failingSince('2026-11-28T09:59:00.000Z') },
  'archive-in-doubt': { ...facts, keeping: failingSince('2026-11-28T09:59:50.000Z') },
  'archive-whole': { ...facts, keeping: { ...keeping, gaps: [gap] }, backupAt: '2026-11-28T09:40:00.000Z' },
});

test('no word is said of an archive that nobody keeps, or whose server is stopped', () => {
  for (const one of [undefined, { ...keeping, state: 'stopped' as const }, { ...keeping, state: 'waiting' as const }])
    expect(decide(troubleOfArchive, { ...facts, keeping: one }).then).toBe('wait');
});

/** One look every two seconds; `states` says what each of them meets. */
async function told(
  states: readonly { readonly keeping: WalKeepingState | 'unreadable'; readonly backupAt?: string }[],
  channels = ['pager'],
) {
  const stop = new AbortController();
  let look = 0;
  const said: Alert[] = [];
  await tellOfArchive(
    {
      config: v.parse(configSchema, { tier: 'critical' }),
      backups: [
        {
          kind: 'physical',
          repository: { list: async () => [{ createdAt: states[look]?.backupAt ?? '2026-11-01T00:00:00.000Z', state: 'good' }] },
        },
      ] as unknown as readonly Backups[],
      alerts: { channels, tell: async (alert) => void said.push(alert) },
      files: {
        readJson: async <T>(_: string, parse: (value: unknown) => T) => {
          const state = states[look]!.keeping;
          if (state === 'unreadable') throw new Error('torn');
          return parse({ schema: 'dbkit.wal-keeping/v1', ...state });
        },
      },
      clock: {
        now: () => new Date(NOW),
        monotonicMs: () => look * 60_000, // An open gap asks the repository once a minute.
        sleep: async () => {
          look += 1;
          if (look === states.length) stop.abort();
        },
      },
    },
    stop.signal,
  );
  return said.map(({ severity, resolves, title }) => `${resolves ? 'RESOLVED' : severity}: ${title}`);
}

test('a gap is told at once and once, and its end when a base backup has closed it', async () => {
  const withGap = { ...keeping, gaps: [gap] };
  const closed = { keeping: withGap, backupAt: '2026-11-28T09:50:00.000Z' };
  expect(await told([{ keeping }, { keeping: withGap }, { keeping: withGap }, { keeping: 'unreadable' }, closed, closed])).toEqual([
    'RESOLVED: the WAL archive is whole again', // Of the run before: the alerter drops it where nothing was told.
    'CRITICAL: WAL was removed before it was archived',
    'RESOLVED: the WAL archive is whole again',
  ]);
});

test('an archive that cannot be written is told once half of what the tier may lose is over', async () => {
  const young = { keeping: failingSince('2026-11-28T09:59:40.000Z') };
  const old = { keeping: failingSince('2026-11-28T09:59:20.000Z') };
  expect(await told([young, old, old, { keeping }])).toEqual([
    'ERROR: the WAL is not kept in the archive',
    'RESOLVED: the WAL archive is whole again',
  ]);
});

test('where nobody is to be told, nobody looks', async () => {
  expect(await told([{ keeping: 'unreadable' }], [])).toEqual([]);
});
