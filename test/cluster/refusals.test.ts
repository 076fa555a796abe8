import { expect, test } from 'vitest';
import {
  type FailoverFacts,
  failoverRefusals,
  type ReinitFacts,
  reinitRefusals,
  type SwitchoverFacts,
  switchoverRefusals,
} from '../../src/cluster/refusals.ts';
import { bytesOfItsOwn } from '../../src/cluster/rejoin.ts';
import { clusterFacts, memberFacts, ownFacts, settingsFacts } from './a-cluster.ts';

const leader = memberFacts('n1', { role: 'leader' });
const synchronous = memberFacts('n2', { role: 'synchronous' });
const replica = memberFacts('n3');
const dead = memberFacts('n1', { role: 'leader', patroni: null, own: null, isWritable: null });
const critical = { id: 'no-leader', severity: 'critical', member: null, words: 'x', next: 'y' } as const;

const handOver = (over: Partial<SwitchoverFacts> = {}): SwitchoverFacts => ({
  cluster: clusterFacts(),
  candidate: synchronous,
  obstacles: [],
  critical: undefined,
  ...over,
});
const lose = (over: Partial<FailoverFacts> = {}): FailoverFacts => ({
  cluster: clusterFacts([dead]),
  candidate: synchronous,
  acceptLoss: false,
  force: false,
  ...over,
});
const rebuild = (over: Partial<ReinitFacts> = {}): ReinitFacts => ({
  cluster: clusterFacts(),
  member: replica,
  ownBytes: 0,
  acceptLoss: false,
  ...over,
});

const switchovers: Readonly<Record<(typeof switchoverRefusals)[number]['id'], SwitchoverFacts>> = {
  'no-leader-to-hand-over': handOver({ cluster: clusterFacts([], { leader: null }) }),
  'candidate-leads-already': handOver({ candidate: leader }),
  'cluster-is-unwell': handOver({ critical }),
  'nobody-may-take-over': handOver({ candidate: undefined }),
  'candidate-may-not-lead': handOver({ candidate: replica, obstacles: [{ id: 'candidate-not-synchronous', words: 'x' }] }),
  'handing-over-unproven': handOver({ candidate: memberFacts('n2', { role: 'synchronous', own: null }) }),
};
const failovers: Readonly<Record<(typeof failoverRefusals)[number]['id'], FailoverFacts>> = {
  'leader-is-well': lose({ cluster: clusterFacts() }),
  'failover-to-the-leader': lose({ candidate: dead }),
  'failover-to-a-silent-member': lose({ candidate: memberFacts('n2', { patroni: null }) }),
  'failover-unproven': lose({ candidate: memberFacts('n2', { own: null }) }),
  'failover-to-asynchronous': lose({ candidate: replica }),
  'failover-loses-wal': lose({ candidate: memberFacts('n2', { role: 'synchronous', lagBytes: 48 }) }),
  'failover-loss-unknown': lose({ candidate: memberFacts('n2', { role: 'synchronous', lagBytes: null }) }),
};
const rebuilds: Readonly<Record<(typeof reinitRefusals)[number]['id'], ReinitFacts>> = {
  'rebuild-of-the-leader': rebuild({ member: leader }),
  'rebuild-of-a-writable-server': rebuild({ member: memberFacts('n3', { isWritable: true }) }),
  'rebuild-from-nothing': rebuild({ cluster: clusterFacts([dead]) }),
  'rebuild-of-a-silent-member': rebuild({ member: memberFacts('n3', { patroni: null }) }),
  'rebuild-loses-rows': rebuild({ ownBytes: 8192 }),
  'rebuild-loss-unknown': rebuild({ ownBytes: null }),
};

test('nothing stands against a planned switchover, a failover of a dead leader, and a rebuild of a replica', () => {
  expect(switchoverRefusals.find(({ when }) => when(handOver()))).toBeUndefined();
  expect(failoverRefusals.find(({ when }) => when(lose()))).toBeUndefined();
  expect(reinitRefusals.find(({ when }) => when(rebuild()))).toBeUndefined();
});

test.each(Object.entries(switchovers))('switchover: %s', (id, facts) => {
  expect(switchoverRefusals.find(({ when }) => when(facts))?.id).toBe(id);
});

test.each(Object.entries(failovers))('failover: %s', (id, facts) => {
  expect(failoverRefusals.find(({ when }) => when(facts))?.id).toBe(id);
});

test.each(Object.entries(rebuilds))('reinit: %s', (id, facts) => {
  expect(reinitRefusals.find(({ when }) => when(facts))?.id).toBe(id);
});

test('a person may give rows up, and may have a leader that is well replaced; nothing else', () => {
  const given = (id: keyof typeof failovers, over: Partial<FailoverFacts>) =>
    failoverRefusals.find(({ when }) => when({ ...failovers[id], ...over }))?.id;
  for (const id of ['failover-to-asynchronous', 'failover-loses-wal', 'failover-loss-unknown'] as const) {
    expect(given(id, { force: true })).toBe(id);
    expect(given(id, { acceptLoss: true })).toBeUndefined();
  }
  expect(given('leader-is-well', { acceptLoss: true })).toBe('leader-is-well');
  expect(given('leader-is-well', { force: true })).toBeUndefined();
  for (const id of ['failover-to-the-leader', 'failover-to-a-silent-member', 'failover-unproven'] as const)
    expect(given(id, { acceptLoss: true, force: true })).toBe(id);
});

test('without synchronous mode a replica that has everything may be promoted', () => {
  const cluster = clusterFacts([dead], { settings: settingsFacts({ isSynchronous: false }) });
  expect(failoverRefusals.find(({ when }) => when(lose({ cluster, candidate: replica })))).toBeUndefined();
});

test('a leader whose Patroni is dead is not well, though it takes writes', () => {
  const cluster = clusterFacts([memberFacts('n1', { role: 'leader', patroni: null })]);
  expect(failoverRefusals.find(({ when }) => when(lose({ cluster })))?.id).toBeUndefined();
});

test('WAL of its own: none on the leader’s timeline, what lies behind the fork on an older one, and unknown without its server', () => {
  const history = [{ timeline: 3, endedAt: 1000, reason: '', at: null, newLeader: null }];
  const own = (timeline: number, walAt: number) => memberFacts('n3', { own: ownFacts({ timeline, walAt }) });
  expect(bytesOfItsOwn(own(4, 9000), clusterFacts(), history)).toBe(0);
  expect(bytesOfItsOwn(own(3, 1000), clusterFacts(), history)).toBe(0);
  expect(bytesOfItsOwn(own(3, 1096), clusterFacts(), history)).toBe(96);
  expect(bytesOfItsOwn(own(2, 1096), clusterFacts(), history)).toBeNull();
  expect(bytesOfItsOwn(memberFacts('n3', { own: null }), clusterFacts(), history)).toBeNull();
  expect(bytesOfItsOwn(own(3, 1096), clusterFacts([dead]), history)).toBeNull();
});
