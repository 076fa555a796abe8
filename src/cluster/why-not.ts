import { fill } from '../kernel/reasons.ts';
import { type ClusterFacts, effectiveTtlSeconds, hasSteppedDown, leaderOf, type MemberFacts } from './facts.ts';
import { DEFAULT_LAG_BYTES } from './member-findings.ts';

interface Hinders<Facts extends readonly unknown[]> {
  readonly id: string;
  readonly when: (...facts: Facts) => boolean;
  readonly words: string;
}

/** A reason why a member, or all of them, would not be promoted. */
export interface Obstacle {
  readonly id: string;
  readonly words: string;
}

/** Members that would be promoted, and those that would not, if the leader died now; or now that it is dead. */
export interface Prospects {
  readonly leader: string | null;
  /** Reasons for Patroni to promote nobody. */
  readonly blocked: readonly Obstacle[];
  readonly candidates: readonly {
    readonly member: string;
    readonly isEligible: boolean;
    readonly obstacles: readonly Obstacle[];
    readonly lagBytes: number | null;
  }[];
  /** Somebody would take over by itself. */
  readonly wouldFailOver: boolean;
}

const seesStore = ({ patroni }: MemberFacts, cluster: ClusterFacts): boolean =>
  patroni !== null && (patroni.dcsAgeSeconds ?? 0) <= effectiveTtlSeconds(cluster);

/** Everything that keeps everybody from being promoted. */
export const clusterObstacles = [
  {
    id: 'promotes-nobody-while-paused',
    when: ({ isPaused }) => isPaused,
    words: 'the cluster is paused: nobody is promoted until `dbkit ha resume`, or `dbkit ha failover`',
  },
  {
    id: 'nobody-sees-the-store',
    when: (cluster) => !cluster.isAgreed || !cluster.members.some((member) => seesStore(member, cluster)),
    words: 'no member sees the store of agreement (etcd), and without it nobody may be promoted',
  },
  {
    id: 'lock-of-one-who-follows',
    when: hasSteppedDown,
    words:
      'the leader’s lock stands and its server follows: it is being promoted itself, or etcd takes no writes, and then nobody may be promoted',
  },
] as const satisfies readonly Hinders<[ClusterFacts]>[];

/** Everything that keeps one member from being promoted, in the order in which Patroni asks (ha.py, is_healthiest_node and _is_healthiest_node). */
export const memberObstacles = [
  { id: 'candidate-silent', when: ({ patroni }) => patroni === null, words: 'its Patroni does not answer' },
  {
    id: 'candidate-sees-no-store',
    when: (member, cluster) => member.patroni !== null && !seesStore(member, cluster),
    words: 'it has not seen the store of agreement (etcd) for {dcsAge} s',
  },
  {
    id: 'candidate-server-down',
    when: ({ trouble, patroni }) => trouble?.kind === 'silent' || (trouble !== null && patroni !== null && patroni.state !== 'running'),
    words: 'its server does not answer (its Patroni says: {state})',
  },
  { id: 'tagged-never-leader', when: ({ isNeverLeader }) => isNeverLeader, words: 'it bears the tag nofailover' },
  {
    id: 'watchdog-unusable',
    when: ({ patroni }) => patroni?.isWatchdogUnusable === true,
    words: 'it must have a watchdog, and has none that works',
  },
  {
    id: 'candidate-not-synchronous',
    when: ({ role }, { settings, isAgreed }) => isAgreed && settings?.isSynchronous === true && role !== 'synchronous' && role !== 'quorum',
    words: 'it is not synchronous: to promote it could lose rows',
  },
  {
    id: 'candidate-behind',
    when: ({ lagBytes }, { settings }) => (lagBytes ?? 0) > (settings?.maximumLagBytes ?? DEFAULT_LAG_BYTES),
    words: 'it is {lagBytes} bytes behind (limit {limit})',
  },
  {
    id: 'candidate-on-older-timeline',
    when: (member, cluster) => (member.timeline ?? Number.POSITIVE_INFINITY) < (leaderOf(cluster)?.timeline ?? 0),
    words: 'it is on timeline {timeline}, and the leader is further',
  },
] as const satisfies readonly Hinders<[MemberFacts, ClusterFacts]>[];

export function prospectsOf(cluster: ClusterFacts): Prospects {
  const blocked = clusterObstacles.filter(({ when }) => when(cluster)).map(({ id, words }) => ({ id, words }));
  const limit = cluster.settings?.maximumLagBytes ?? DEFAULT_LAG_BYTES;
  const candidates = cluster.members
    .filter(({ name }) => name !== cluster.leader)
    .map((member) => {
      const facts = { ...member, dcsAge: member.patroni?.dcsAgeSeconds, limit };
      const obstacles = memberObstacles
        .filter(({ when }) => when(member, cluster))
        .map(({ id, words }) => ({ id, words: fill(words, facts) }));
      return { member: member.name, isEligible: obstacles.length === 0, obstacles, lagBytes: member.lagBytes };
    });
  const wouldFailOver = blocked.length === 0 && candidates.some(({ isEligible }) => isEligible);
  return { leader: cluster.leader, blocked, candidates, wouldFailOver };
}
