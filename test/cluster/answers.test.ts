import { expect, test } from 'vitest';
import { readCluster, readHistory, readPatroni, readSettings } from '../../src/cluster/answers.ts';
import { recorded, versions } from './fake-cluster.ts';

const twice = (read: (json: unknown) => unknown, name: string): unknown[] => versions.map((version) => read(recorded(version, name)));

test('a cluster reads the same from Patroni 3 and 4, whose words differ', () => {
  const [three, four] = versions.map((version) => readCluster(recorded(version, 'cluster'))!);
  const seen = (cluster: typeof three) =>
    cluster!.members.map(({ name, role, state, timeline, lagBytes }) => [name, role, state, timeline, lagBytes]);
  expect(seen(three)).toEqual([
    ['n1', 'replica', 'running', 2, 0],
    ['n2', 'leader', 'running', 2, null],
    ['n3', 'synchronous', 'running', 2, 0],
  ]);
  expect(seen(four)).toEqual(seen(three));
  expect(three).toMatchObject({ isPaused: false, scheduledSwitchover: null });
});

test('a member says of itself that it is primary in the words of both versions', () => {
  expect(twice((json) => readPatroni(json)?.isPrimary, 'patroni-n2')).toEqual([true, true]);
  expect(twice((json) => readPatroni(json)?.isPrimary, 'patroni-n1')).toEqual([false, false]);
  expect(twice((json) => readPatroni(json)?.version, 'patroni-n1')).toEqual([...versions]);
  expect(readPatroni(recorded('3.0.2', 'patroni-n1'))).toMatchObject({
    scope: 'lab',
    startedAt: '2026-11-28 11:56:03.401333+00:00',
    dcsSeenAt: new Date(1_795_866_968_000),
    systemIdentifier: '7713189254549480100',
    isPaused: false,
    isFailsafe: false,
  });
});

test('settings and history', () => {
  for (const settings of twice(readSettings, 'config'))
    expect(settings).toEqual({
      isPaused: false,
      pauseUntil: null,
      ttlSeconds: 20,
      loopWaitSeconds: 2,
      retryTimeoutSeconds: 5,
      maximumLagBytes: 1_048_576,
      checksTimeline: true,
      isSynchronous: true,
      isFailsafeOn: true,
    });
  expect(readHistory(recorded('3.0.2', 'history'))).toEqual([
    {
      timeline: 1,
      endedAt: 67_417_528,
      reason: 'no recovery target specified',
      at: '2026-11-28T11:55:59.729203+00:00',
      newLeader: 'n2',
    },
  ]);
  expect(readHistory([[1, 5, 'x']])).toEqual([{ timeline: 1, endedAt: 5, reason: 'x', at: null, newLeader: null }]);
});

test('a moment that is none is not known, whoever answers in place of Patroni', () => {
  expect(readHistory([[1, 5, 'x', 'yesterday', 'n2']])).toMatchObject([{ at: null, newLeader: 'n2' }]);
  const said = { ...(recorded('3.0.2', 'patroni-n1') as object), dcs_last_seen: 1e300 };
  expect(readPatroni(said)).toMatchObject({ dcsSeenAt: null });
});

test('what Patroni leaves out is its default, and quorum mode is synchronous', () => {
  expect(readSettings({})).toMatchObject({ ttlSeconds: 30, loopWaitSeconds: 10, checksTimeline: false, isSynchronous: false });
  expect(readSettings({ synchronous_mode: 'quorum' })?.isSynchronous).toBe(true);
  expect(readSettings({ synchronous_mode: 'off' })?.isSynchronous).toBe(false);
});

test('tags, a lag that is not known, a pause, a plan', () => {
  const cluster = readCluster({
    pause: true,
    scheduled_switchover: { at: '2026-12-01T02:00:00+00:00', from: 'n1', to: 'n2' },
    members: [
      { name: 'n1', role: 'leader', state: 'running', tags: { nofailover: true }, pending_restart: true },
      { name: 'n2', role: 'replica', state: 'start failed', lag: 'unknown', tags: { failover_priority: 0 } },
    ],
  });
  expect(cluster).toMatchObject({
    isPaused: true,
    scheduledSwitchover: { at: '2026-12-01T02:00:00+00:00', to: 'n2' },
    members: [
      { isNeverLeader: true, needsRestart: true },
      { lagBytes: null, state: 'start failed', isNeverLeader: true },
    ],
  });
});

test.each([undefined, null, '', '<html>', [], { members: 'n1' }, { state: 1 }])('%j is no answer of Patroni', (json) => {
  expect([readCluster(json), readPatroni(json)]).toEqual([undefined, undefined]);
});
