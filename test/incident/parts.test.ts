import { expect, test } from 'vitest';
import type { FoundBackup } from '../../src/backups/backup.ts';
import type { ReachableMoments } from '../../src/backups/base/points/reachable.ts';
import { seenNow } from '../../src/cluster/role-rows.ts';
import type { HealthReport } from '../../src/health/health.ts';
import { clusterPart } from '../../src/incident/cluster-part.ts';
import { serverPart } from '../../src/incident/server-part.ts';
import { clusterFacts, memberFacts, ownFacts, patroniFacts } from '../cluster/a-cluster.ts';

const silent = { kind: 'silent', words: 'no answer' } as const;
const gone = (name: string) =>
  memberFacts(name, { role: 'unknown', patroni: null, own: null, isWritable: null, timeline: null, lagBytes: null, trouble: silent });
const change = { timeline: 3, endedAt: 1, reason: 'no recovery target specified', at: '2026-11-20T08:00:00.401333+00:00', newLeader: 'n3' };
const heard = { pooler: null, seen: undefined, changes: [change] };
const cut = (name: string, role: 'synchronous' | 'replica') => memberFacts(name, { role, own: ownFacts({ isStreaming: false }) });

test('a dead primary: known from the monitor’s memory, with the moment at which it was heard last', () => {
  const seen = seenNow(clusterFacts(), undefined, '2026-11-28T14:02:10.000Z');
  const facts = clusterFacts([gone('n1'), cut('n2', 'synchronous'), cut('n3', 'replica')], { leader: null });
  expect(clusterPart({ ...heard, facts, seen })).toMatchObject({
    primary: 'n1',
    isPrimarySilent: true,
    unreachableSince: '2026-11-28T14:02:10.000Z',
    seenDownBy: ['n2', 'n3'],
    streaming: [],
    writers: [],
    silent: ['n1'],
    candidate: 'n2',
    candidateLagBytes: 0,
    lastChangeAt: '2026-11-20T08:00:00.401Z',
  });
  expect(clusterPart({ ...heard, facts })).toMatchObject({ primary: 'n3', unreachableSince: null });
});

test('a lease that still runs: its holder is the primary, and is not heard', () => {
  const facts = clusterFacts([gone('n1'), cut('n2', 'synchronous'), cut('n3', 'replica')], { leader: 'n1' });
  expect(clusterPart({ ...heard, facts })).toMatchObject({ leader: 'n1', primary: 'n1', isPrimarySilent: true, writers: [] });
});

test('a server that died under its Patroni; a replica that stands on another timeline; one that is behind', () => {
  const dead = memberFacts('n1', {
    role: 'leader',
    own: null,
    isWritable: null,
    trouble: silent,
    patroni: patroniFacts({ isPrimary: true }),
  });
  expect(clusterPart({ ...heard, facts: clusterFacts([dead]) })).toMatchObject({ isPrimarySilent: false, isPrimaryServerDown: true });
  const diverged = memberFacts('n3', { timeline: 3, own: ownFacts({ isStreaming: false, timeline: 3 }) });
  expect(clusterPart({ ...heard, facts: clusterFacts([diverged]) })).toMatchObject({
    replica: 'n3',
    isReplicaDiverged: true,
    streaming: ['n2'],
  });
  const behind = memberFacts('n3', { lagBytes: 12_582_912 });
  expect(clusterPart({ ...heard, facts: clusterFacts([behind]) })).toMatchObject({
    laggards: ['n3 by 12.0 MiB'],
    laggard: 'n3',
    replica: null,
  });
});

test('two writers: the one without the lock is the wrong one', () => {
  const facts = clusterFacts([memberFacts('n3', { isWritable: true, own: ownFacts({ isWritable: true }) })]);
  expect(clusterPart({ ...heard, facts })).toMatchObject({ writers: ['n1', 'n3'], wrongWriters: ['n3'] });
});

test('a server that does not let dbkit in is not called down', () => {
  const refused = memberFacts('n1', { role: 'leader', own: null, isWritable: true, trouble: { kind: 'refused', words: 'password' } });
  expect(clusterPart({ ...heard, facts: clusterFacts([refused]) })).toMatchObject({
    isPrimaryServerDown: false,
    silent: [],
    writers: ['n1'],
  });
});

const nothingHeard = {
  status: undefined,
  health: undefined,
  inspection: undefined,
  backups: [],
  moments: undefined,
  dataDir: '/data',
  port: 5432,
  fullPercent: 90,
};
const probe = (name: string, data: object) => ({
  service: 'postgresql',
  name,
  title: name,
  status: 'ok',
  summary: '',
  hint: null,
  data,
  durationMs: 1,
});
const health = (...probes: object[]): HealthReport => ({ status: 'ok', at: '', durationMs: 1, probes }) as unknown as HealthReport;

test('nothing can be asked: nothing is known, and nothing is claimed', () => {
  expect(serverPart(nothingHeard)).toMatchObject({
    answers: false,
    damage: [],
    goodBackup: null,
    firstMomentAt: null,
    volume: null,
    isVolumeFull: false,
    slot: null,
  });
});

test('the last destructive statement is written as --before takes it', () => {
  const event = (kind: string, names: string[], at: string) => ({ at, lsn: '0/1', kind, xid: 7, database: 'shop', names, rows: 0 });
  const moments = {
    systemIdentifier: '1',
    currentTimeline: 1,
    latest: { lsn: '0/9', at: '2026-11-28T14:00:00Z' },
    timelines: [
      {
        timeline: 1,
        current: true,
        spans: [{ from: { lsn: '0/1', at: '2026-11-28T02:00:00Z' } }],
        events: [
          event('drop', ['public.orders'], '2026-11-28T13:00:00Z'),
          event('delete', ['public."Customers"'], '2026-11-28T13:30:00Z'),
          event('restart', [], '2026-11-28T13:40:00Z'),
          event('delete', ['file 5/16384'], '2026-11-28T13:50:00Z'), // Nobody can say that to --before.
        ],
      },
    ],
  } as unknown as ReachableMoments;
  expect(serverPart({ ...nothingHeard, moments })).toMatchObject({
    firstMomentAt: '2026-11-28T02:00:00Z',
    lastMomentAt: '2026-11-28T14:00:00Z',
    event: 'delete from public."Customers" in shop',
    statement: 'delete from public."Customers"',
    eventTable: 'public."Customers"',
  });
});

test('damage, the fullest volume, the idle slot and the newest good backup', () => {
  const backup = (label: string, state: string, over: object = {}) =>
    ({ backup: { label, state, createdAt: '2026-11-28T02:00:00Z', ...over } }) as unknown as FoundBackup;
  const part = serverPart({
    ...nothingHeard,
    backups: [
      backup('data_3', 'damaged'),
      backup('data_2', 'good', { knownDamage: [{}] }),
      backup('data_1', 'good', { provenAt: '2026-11-20T00:00:00Z' }),
    ],
    health: health(
      probe('damage', { damaged: [{ code: 'zeroed-page', path: 'base/5/1', relation: 'public.orders' }] }),
      probe('checksums', [{ database: 'shop', failures: 2, last: '' }]),
      probe('disk', [
        { what: 'data', path: '/data', percent: 40, freeBytes: 9, secondsUntilFull: null },
        { what: 'wal', path: '/wal', percent: 96.4, freeBytes: 5, secondsUntilFull: 60 },
      ]),
      probe('slots', [
        { name: 'busy', active: true, retainedBytes: 99 },
        { name: 'idle', active: false, retainedBytes: 10 },
      ]),
    ),
  });
  expect(part).toMatchObject({
    damage: ['zeroed-page in base/5/1 (public.orders)', '2 pages with a wrong checksum in shop'],
    damagedTable: 'public.orders',
    volume: 'wal',
    volumePercent: 96,
    isVolumeFull: true,
    fullInSeconds: 60,
    slot: 'idle',
    goodBackup: 'data_1',
    provenBackup: 'data_1',
  });
});
