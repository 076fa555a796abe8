import { type ClusterFacts, effectiveTtlSeconds, isLeader, leaderOf, type MemberFacts } from './facts.ts';
import type { Finds } from './finding.ts';

/** Patroni's own default of maximum_lag_on_failover. */
export const DEFAULT_LAG_BYTES = 1_048_576;

/** Every row that matches is a finding about this member. */
export const memberFindings = [
  {
    id: 'member-silent',
    when: ({ patroni }) => patroni === null,
    then: 'critical',
    words: 'its Patroni does not answer at {api}',
    next: 'look on that machine: does it run, and Patroni with it?',
  },
  {
    id: 'loop-stands-still',
    when: ({ patroni }) => patroni?.isTurning === false,
    then: 'critical',
    words: 'the loop of its Patroni has stood still for longer than ttl',
    next: 'restart Patroni there; never wake a stopped one with SIGCONT',
  },
  {
    id: 'store-not-seen',
    when: ({ patroni }, cluster) =>
      patroni !== null && !patroni.isFailsafe && cluster.isAgreed && (patroni.dcsAgeSeconds ?? 0) > effectiveTtlSeconds(cluster),
    then: 'critical',
    words: 'it has not seen the store of agreement (etcd) for {dcsAge} s',
    next: 'look at the network between that machine and etcd',
  },
  {
    id: 'failsafe-active',
    when: ({ patroni }) => patroni?.isFailsafe === true,
    then: 'warning',
    words: 'failsafe mode holds it: the members reach each other, and not the store',
    next: 'look at etcd; one more failure now stops the service',
  },
  {
    id: 'server-starting',
    when: ({ trouble }) => trouble?.kind === 'starting',
    then: 'warning',
    words: 'its server starts, stops or replays its WAL',
    next: 'wait; its log says how far it is',
  },
  {
    id: 'server-silent',
    when: ({ trouble }) => trouble?.kind === 'silent',
    then: 'warning',
    words: 'its server does not answer at {server}',
    next: 'look at its log there, or at the network',
  },
  {
    id: 'server-refuses',
    when: ({ trouble }) => trouble?.kind === 'refused',
    then: 'warning',
    words: 'its server lives and does not let dbkit in, so only Patroni’s word is known',
    next: 'set POSTGRES_USER and POSTGRES_PASSWORD (or POSTGRES_PASSWORD_FILE) to a superuser of the cluster',
  },
  {
    id: 'replica-not-streaming',
    when: (member, cluster) => member.own !== null && !isLeader(member, cluster) && !member.own.isWritable && !member.own.isStreaming,
    then: 'warning',
    words: 'it does not stream from the leader',
    next: 'look at its log; where it stays so, `dbkit ha rejoin {name}`',
  },
  {
    id: 'replica-on-other-timeline',
    when: (member, cluster) => {
      const leader = leaderOf(cluster);
      return member.timeline !== null && leader?.timeline != null && member.timeline !== leader.timeline;
    },
    then: 'warning',
    words: 'it is on timeline {timeline}, and the leader is not',
    next: 'it waits for pg_rewind or a rebuild: `dbkit ha rejoin {name}`',
  },
  {
    id: 'replica-behind',
    when: (member, { settings }) => (member.lagBytes ?? 0) > (settings?.maximumLagBytes ?? DEFAULT_LAG_BYTES),
    then: 'warning',
    words: 'it is {lagBytes} bytes behind, more than maximum_lag_on_failover: it would not be promoted',
    next: 'look at its disk, its network and long queries there',
  },
  {
    id: 'restart-pending',
    when: ({ needsRestart }) => needsRestart,
    then: 'warning',
    words: 'settings wait for a restart of its server',
    next: 'restart it in a quiet hour: `patronictl restart --pending`',
  },
  {
    id: 'cannot-be-rewound',
    when: ({ own }) => own?.canBeRewound === false,
    then: 'warning',
    words: 'pg_rewind cannot work: neither data checksums nor wal_log_hints are on',
    next: 'set `wal_log_hints: on` with `patronictl edit-config`, and restart',
  },
] as const satisfies readonly Finds<[MemberFacts, ClusterFacts]>[];
