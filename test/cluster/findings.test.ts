import { expect, test } from 'vitest';
import type { ClusterFacts, MemberFacts } from '../../src/cluster/facts.ts';
import { clusterFindings, findingsOf } from '../../src/cluster/findings.ts';
import { memberFindings } from '../../src/cluster/member-findings.ts';
import { writeFindings } from '../../src/cluster/write-findings.ts';
import { clusterFacts, memberFacts, ownFacts, patroniFacts, settingsFacts } from './a-cluster.ts';

const gone = (name: string, role: MemberFacts['role'] = 'unknown'): MemberFacts =>
  memberFacts(name, {
    role,
    patroni: null,
    own: null,
    isWritable: null,
    lagBytes: null,
    timeline: null,
    trouble: { kind: 'silent', words: 'no answer' },
  });
const everybodyGone = ['n1', 'n2', 'n3'].map((name) => gone(name));
const troubled = (kind: NonNullable<MemberFacts['trouble']>['kind']): MemberFacts =>
  memberFacts('n3', { own: null, isWritable: kind === 'refused' ? false : null, trouble: { kind, words: 'words' } });

const steppedDown = memberFacts('n1', { role: 'leader', isWritable: false, own: ownFacts({ isStreaming: false }) });

const ofCluster: Readonly<Record<(typeof clusterFindings)[number]['id'], ClusterFacts>> = {
  'several-servers-writable': clusterFacts([memberFacts('n3', { isWritable: true })]),
  'no-member-answers': clusterFacts(everybodyGone, { leader: null, isAgreed: false, settings: null }),
  'members-of-different-clusters': clusterFacts([memberFacts('n3', { own: ownFacts({ systemIdentifier: '1' }) })]),
  'store-unreadable': clusterFacts([], { isAgreed: false }),
  'no-leader': clusterFacts([gone('n1')], { leader: null }),
  'leader-has-stepped-down': clusterFacts([steppedDown]),
  'leader-not-writable': clusterFacts([gone('n1', 'leader')]),
  'nothing-to-fail-over-to': clusterFacts([gone('n2'), memberFacts('n3', { own: ownFacts({ isStreaming: false }) })]),
  'pause-is-over': clusterFacts([], {
    isPaused: true,
    isPauseOver: true,
    settings: settingsFacts({ pauseUntil: '2026-11-28T14:00:00.000Z' }),
  }),
  'failover-paused-for-a-time': clusterFacts([], { isPaused: true, settings: settingsFacts({ pauseUntil: '2026-11-28T14:00:00.000Z' }) }),
  'failover-paused': clusterFacts([], { isPaused: true }),
  'no-synchronous-standby': clusterFacts([memberFacts('n2')]),
  'ttl-too-short': clusterFacts([], { settings: settingsFacts({ ttlSeconds: 11 }) }),
  'ttl-is-raised': clusterFacts([memberFacts('n3', { patroni: patroniFacts({ version: '4.0.7' }) })], {
    settings: settingsFacts({ ttlSeconds: 12 }),
  }),
  'timeline-unchecked': clusterFacts([], { settings: settingsFacts({ checksTimeline: false }) }),
  'member-unlisted': clusterFacts([], { unlisted: ['n4'] }),
};

const ofMember: Readonly<Record<(typeof memberFindings)[number]['id'], MemberFacts>> = {
  'member-silent': gone('n3'),
  'loop-stands-still': memberFacts('n3', { patroni: patroniFacts({ isTurning: false }) }),
  'store-not-seen': memberFacts('n3', { patroni: patroniFacts({ dcsAgeSeconds: 21 }) }),
  'failsafe-active': memberFacts('n3', { patroni: patroniFacts({ isFailsafe: true, dcsAgeSeconds: 60 }) }),
  'server-starting': troubled('starting'),
  'server-silent': troubled('silent'),
  'server-refuses': troubled('refused'),
  'replica-not-streaming': memberFacts('n3', { own: ownFacts({ isStreaming: false }) }),
  'replica-on-other-timeline': memberFacts('n3', { timeline: 3 }),
  'replica-behind': memberFacts('n3', { lagBytes: 1_048_577 }),
  'restart-pending': memberFacts('n3', { needsRestart: true }),
  'cannot-be-rewound': memberFacts('n3', { own: ownFacts({ canBeRewound: false }) }),
};

test('a leader that stepped down is told once, and not as one that starts or is dead', () => {
  const ids = findingsOf(clusterFacts([steppedDown])).map(({ id }) => id);
  expect(ids).toContain('leader-has-stepped-down');
  expect(ids).not.toContain('leader-not-writable');
});

test('a cluster that is well has no findings', () => {
  expect(findingsOf(clusterFacts())).toEqual([]);
});

test.each(Object.entries(ofCluster))('the cluster: %s', (id, facts) => {
  const found = findingsOf(facts);
  expect(found.filter((one) => one.id === id)).toEqual([expect.objectContaining({ member: null })]);
  expect(found.map(({ words, next }) => `${words} ${next}`).join()).not.toMatch(/[{}]|undefined|null/);
});

test.each(Object.entries(ofMember))('a member: %s', (id, member) => {
  const found = findingsOf(clusterFacts([member]));
  expect(found.filter((one) => one.id === id)).toEqual([expect.objectContaining({ member: 'n3' })]);
  expect(found.map(({ words, next }) => `${words} ${next}`).join()).not.toMatch(/[{}]|undefined|null/);
});

test('every row has a case, and critical findings come first', () => {
  expect([...clusterFindings, ...memberFindings].map(({ id }) => id).sort()).toEqual(
    [...Object.keys(ofCluster), ...Object.keys(ofMember)].sort(),
  );
  const severities = findingsOf(clusterFacts(everybodyGone, { isPaused: true, settings: settingsFacts({ checksTimeline: false }) })).map(
    ({ severity }) => severity,
  );
  expect(severities).toEqual([...severities].sort());
  expect(new Set(severities)).toEqual(new Set(['critical', 'warning']));
});

test('a cluster whose superuser’s password is not known is no split brain and not down', () => {
  const refused = (name: string, role: MemberFacts['role'], isWritable: boolean): MemberFacts =>
    memberFacts(name, { role, own: null, isWritable, trouble: { kind: 'refused', words: 'password authentication failed' } });
  const found = findingsOf(
    clusterFacts([refused('n1', 'leader', true), refused('n2', 'synchronous', false), refused('n3', 'replica', false)]),
  );
  expect(found.map(({ id }) => id)).toEqual(['server-refuses', 'server-refuses', 'server-refuses']);
});

test('failsafe mode that holds a leader is no member that has lost the store', () => {
  const held = memberFacts('n1', { role: 'leader', patroni: patroniFacts({ isFailsafe: true, dcsAgeSeconds: 90 }) });
  expect(findingsOf(clusterFacts([held])).map(({ id }) => id)).toEqual(['failsafe-active']);
});

test.each(
  Object.entries({
    'write-address-silent': { committed: null, reachesLeader: null },
    'write-address-read-only': { committed: { startedAt: '1', isWritable: false }, reachesLeader: false },
    'write-address-leads-astray': { committed: { startedAt: '1', isWritable: true }, reachesLeader: false },
  } satisfies Record<(typeof writeFindings)[number]['id'], object>),
)('the write address: %s', (id, seen) => {
  expect(writeFindings.find(({ when }) => when(seen))?.id).toBe(id);
});

test('a commit that reached the leader, or a leader that dbkit may not ask, is no finding', () => {
  for (const reachesLeader of [true, null])
    expect(writeFindings.find(({ when }) => when({ committed: { startedAt: '1', isWritable: true }, reachesLeader }))).toBeUndefined();
});
