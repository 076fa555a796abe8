import { fill } from '../kernel/reasons.ts';
import { moment } from '../kernel/units.ts';
import { type ClusterFacts, effectiveTtlSeconds, hasSteppedDown, isLeader, leaderOf, type MemberFacts } from './facts.ts';
import type { ClusterFinding, Finds } from './finding.ts';
import { memberFindings } from './member-findings.ts';

const writers = ({ members }: ClusterFacts): readonly MemberFacts[] => members.filter(({ isWritable }) => isWritable === true);
const identifiers = ({ members }: ClusterFacts): ReadonlySet<string> =>
  new Set(members.flatMap(({ own, patroni }) => own?.systemIdentifier ?? patroni?.systemIdentifier ?? []));
const answers = ({ members }: ClusterFacts): boolean => members.some(({ patroni }) => patroni !== null);
const couldBeAsked = ({ trouble }: MemberFacts): boolean => trouble?.kind !== 'refused';
const replicasOf = (cluster: ClusterFacts): readonly MemberFacts[] => cluster.members.filter((member) => !isLeader(member, cluster));

/** Every row that matches is a finding, the worst first. */
export const clusterFindings = [
  {
    id: 'several-servers-writable',
    when: (cluster) => writers(cluster).length > 1,
    then: 'critical',
    words: '{writers} take writes at the same time: a split brain',
    next: 'stop PostgreSQL at once on the one that does not hold the lock ({leader} holds it); what it took is in its own WAL',
  },
  {
    id: 'no-member-answers',
    when: (cluster) => !answers(cluster),
    then: 'critical',
    words: 'no Patroni answers, so nobody knows the state of the cluster',
    next: 'look at the network from here, and at Patroni on each member',
  },
  {
    id: 'members-of-different-clusters',
    when: (cluster) => identifiers(cluster).size > 1,
    then: 'critical',
    words: 'the members hold different databases: their system identifiers differ',
    next: 'find out which data is the right one before anything is rebuilt; keep both',
  },
  {
    id: 'store-unreadable',
    when: (cluster) => answers(cluster) && !cluster.isAgreed,
    then: 'critical',
    words: 'no Patroni can read its store of agreement (etcd), so nobody can take over',
    next: 'look at etcd: `etcdctl endpoint health --cluster`',
  },
  {
    id: 'no-leader',
    when: (cluster) => cluster.isAgreed && cluster.leader === null,
    then: 'critical',
    words: 'the cluster has no leader',
    next: 'list who may take over: `dbkit ha why-not`',
  },
  {
    id: 'leader-has-stepped-down',
    when: hasSteppedDown,
    then: 'critical',
    words: '{leader} holds the lock, and its server follows: it is being promoted, or etcd takes no writes any more',
    next: 'look again in a few seconds; where it stays so, look on each machine if etcd runs: `etcdctl endpoint health --cluster`',
  },
  {
    id: 'leader-not-writable',
    when: (cluster) => {
      const leader = leaderOf(cluster);
      if (hasSteppedDown(cluster)) return false;
      return leader !== undefined && leader.role !== 'standby-leader' && leader.isWritable !== true && couldBeAsked(leader);
    },
    then: 'critical',
    words: '{leader} holds the lock and takes no writes',
    next: 'wait a moment where it starts; it may also be dead with its lease still running: `dbkit ha why-not`',
  },
  {
    id: 'nothing-to-fail-over-to',
    when: (cluster) =>
      answers(cluster) && replicasOf(cluster).every(({ own, trouble }) => own?.isStreaming !== true && trouble?.kind !== 'refused'),
    then: 'critical',
    words: 'no replica streams, so nobody can take over without loss',
    next: 'bring a replica back: look at its log, then `dbkit ha reinit MEMBER`',
  },
  {
    id: 'pause-is-over',
    when: ({ isPaused, isPauseOver }) => isPaused && isPauseOver,
    then: 'critical',
    words: 'automatic failover is still off, although the pause ended at {pauseUntil}',
    next: 'turn it on: `dbkit ha resume`',
  },
  {
    id: 'failover-paused-for-a-time',
    when: ({ isPaused, isPauseOver, settings }) => isPaused && !isPauseOver && settings?.pauseUntil != null,
    then: 'warning',
    words: 'automatic failover is off until {pauseUntil}: the cluster is paused',
    next: 'turn it on sooner: `dbkit ha resume`; a dbkit monitor, or the next `dbkit ha status`, does it then',
  },
  {
    id: 'failover-paused',
    when: ({ isPaused, settings }) => isPaused && settings?.pauseUntil == null,
    then: 'warning',
    words: 'automatic failover is off: the cluster is paused',
    next: 'turn it on when the work is done: `dbkit ha resume`',
  },
  {
    id: 'no-synchronous-standby',
    when: (cluster) =>
      cluster.settings?.isSynchronous === true &&
      cluster.isAgreed &&
      cluster.leader !== null &&
      cluster.members.every(({ role }) => role !== 'synchronous' && role !== 'quorum'),
    then: 'warning',
    words: 'synchronous mode is on and no standby is synchronous: a failover now could lose rows',
    next: 'bring a replica back',
  },
  {
    id: 'ttl-too-short',
    when: ({ settings }) => settings !== null && settings.loopWaitSeconds + 2 * settings.retryTimeoutSeconds > settings.ttlSeconds,
    then: 'warning',
    words: 'ttl is {ttl} s, less than loop_wait + 2 × retry_timeout: a leader may be demoted for nothing',
    next: 'raise ttl, or lower retry_timeout: `patronictl edit-config`',
  },
  {
    id: 'ttl-is-raised',
    when: (cluster) => cluster.settings !== null && effectiveTtlSeconds(cluster) > cluster.settings.ttlSeconds,
    then: 'warning',
    words: 'the configuration says ttl {ttl} s, and this version of Patroni counts {effectiveTtl} s',
    next: 'expect a failover after {effectiveTtl} s, or write that value',
  },
  {
    id: 'timeline-unchecked',
    when: ({ settings }) => settings !== null && !settings.checksTimeline,
    then: 'warning',
    words: 'check_timeline is off: an old leader may win a cold start, and what was written since is lost',
    next: 'set `check_timeline: true` with `patronictl edit-config`',
  },
  {
    id: 'member-unlisted',
    when: ({ unlisted }) => unlisted.length > 0,
    then: 'warning',
    words: 'the cluster has members that ha.members does not name: {unlisted}',
    next: 'add them, so that they are asked also when etcd is gone',
  },
] as const satisfies readonly Finds<[ClusterFacts]>[];

/** '2026-11-28 16:00:00 UTC'; null: it is not paused, or without a limit. */
export const pauseEnd = ({ isPaused, settings }: Pick<ClusterFacts, 'isPaused' | 'settings'>): string | null =>
  isPaused && settings?.pauseUntil != null ? moment(settings.pauseUntil) : null;

/** Everything that is wrong, critical things first. */
export function findingsOf(cluster: ClusterFacts): readonly ClusterFinding[] {
  const told = {
    leader: cluster.leader ?? 'nobody',
    writers: writers(cluster)
      .map(({ name }) => name)
      .join(' and '),
    unlisted: cluster.unlisted.join(', '),
    ttl: cluster.settings?.ttlSeconds,
    pauseUntil: pauseEnd(cluster),
    effectiveTtl: effectiveTtlSeconds(cluster),
  };
  const found = [
    ...clusterFindings.filter(({ when }) => when(cluster)).map((row) => finding(row, null, told)),
    ...cluster.members.flatMap((member) =>
      memberFindings.filter(({ when }) => when(member, cluster)).map((row) => finding(row, member.name, wordsFor(member))),
    ),
  ];
  return worstFirst(found);
}

export const worstFirst = (found: readonly ClusterFinding[]): readonly ClusterFinding[] => [
  ...found.filter(({ severity }) => severity === 'critical'),
  ...found.filter(({ severity }) => severity === 'warning'),
];

const wordsFor = ({ server, patroni, ...member }: MemberFacts): Readonly<Record<string, unknown>> => ({
  ...member,
  server: `${server.host}:${server.port}`,
  dcsAge: patroni?.dcsAgeSeconds,
});

const finding = (
  { id, then, words, next }: Omit<Finds<[]>, 'when'>,
  member: string | null,
  facts: Readonly<Record<string, unknown>>,
): ClusterFinding => ({ id, severity: then, member, words: fill(words, facts), next: fill(next, facts) });
