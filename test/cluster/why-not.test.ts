import { expect, test } from 'vitest';
import type { ClusterFacts, MemberFacts } from '../../src/cluster/facts.ts';
import { type clusterObstacles, type memberObstacles, prospectsOf } from '../../src/cluster/why-not.ts';
import { clusterFacts, memberFacts, ownFacts, patroniFacts, settingsFacts } from './a-cluster.ts';

const blind = patroniFacts({ dcsAgeSeconds: 45 });

const all: Readonly<Record<(typeof clusterObstacles)[number]['id'], ClusterFacts>> = {
  'promotes-nobody-while-paused': clusterFacts([], { isPaused: true }),
  'nobody-sees-the-store': clusterFacts(['n1', 'n2', 'n3'].map((name) => memberFacts(name, { patroni: blind }))),
  'lock-of-one-who-follows': clusterFacts([
    memberFacts('n1', { role: 'leader', isWritable: false, own: ownFacts({ isStreaming: false }) }),
  ]),
};
const one: Readonly<Record<(typeof memberObstacles)[number]['id'], MemberFacts>> = {
  'candidate-silent': memberFacts('n2', { role: 'synchronous', patroni: null }),
  'candidate-sees-no-store': memberFacts('n2', { role: 'synchronous', patroni: blind }),
  'candidate-server-down': memberFacts('n2', { role: 'synchronous', own: null, trouble: { kind: 'silent', words: 'ECONNREFUSED' } }),
  'tagged-never-leader': memberFacts('n2', { role: 'synchronous', isNeverLeader: true }),
  'watchdog-unusable': memberFacts('n2', { role: 'synchronous', patroni: patroniFacts({ isWatchdogUnusable: true }) }),
  'candidate-not-synchronous': memberFacts('n2'),
  'candidate-behind': memberFacts('n2', { role: 'synchronous', lagBytes: 1_283_784 }),
  'candidate-on-older-timeline': memberFacts('n2', { role: 'synchronous', timeline: 3 }),
};

test('the synchronous standby takes over, and the other one says why not', () => {
  expect(prospectsOf(clusterFacts())).toEqual({
    leader: 'n1',
    blocked: [],
    candidates: [
      { member: 'n2', isEligible: true, obstacles: [], lagBytes: 0 },
      {
        member: 'n3',
        isEligible: false,
        obstacles: [{ id: 'candidate-not-synchronous', words: 'it is not synchronous: to promote it could lose rows' }],
        lagBytes: 0,
      },
    ],
    wouldFailOver: true,
  });
});

test.each(Object.entries(all))('nobody: %s', (id, facts) => {
  const { blocked, wouldFailOver } = prospectsOf(facts);
  expect(blocked.map((obstacle) => obstacle.id)).toEqual([id]);
  expect(wouldFailOver).toBe(false);
});

test.each(Object.entries(one))('a member: %s', (id, member) => {
  const { candidates, wouldFailOver } = prospectsOf(clusterFacts([member]));
  const { obstacles, isEligible } = candidates.find((candidate) => candidate.member === 'n2')!;
  expect(obstacles.map((obstacle) => obstacle.id)).toEqual([id]);
  expect(obstacles[0]!.words).not.toMatch(/[{}]|undefined/);
  expect({ isEligible, wouldFailOver }).toEqual({ isEligible: false, wouldFailOver: false });
});

test('without synchronous mode every replica may; how far behind is said with its limit', () => {
  const settings = settingsFacts({ isSynchronous: false });
  expect(prospectsOf(clusterFacts([], { settings })).candidates.map(({ isEligible }) => isEligible)).toEqual([true, true]);
  const behind = memberFacts('n3', { lagBytes: 1_283_784 });
  const [, n3] = prospectsOf(clusterFacts([behind], { settings })).candidates;
  expect(n3!.obstacles[0]!.words).toBe('it is 1283784 bytes behind (limit 1048576)');
});

test('as soon as no Patroni can read the store nobody would take over, however lately each has seen it', () => {
  const { blocked, wouldFailOver } = prospectsOf(clusterFacts([], { isAgreed: false }));
  expect(blocked.map(({ id }) => id)).toEqual(['nobody-sees-the-store']);
  expect(wouldFailOver).toBe(false);
});
