import type { Refusal } from '../kernel/reasons.ts';
import { type ClusterFacts, leaderOf, type MemberFacts } from './facts.ts';
import type { ClusterFinding } from './finding.ts';
import type { Obstacle } from './why-not.ts';

interface Refuses<Facts> {
  readonly id: string;
  readonly when: (facts: Facts) => boolean;
  readonly then: 'refuse';
  readonly words: string;
  readonly refusal: Refusal;
}

const refuse = (hint: string): { readonly then: 'refuse'; readonly refusal: Refusal } => ({
  then: 'refuse',
  refusal: { code: 'recovery.refused', hint },
});

/** Everything that a planned change of leader depends on. */
export interface SwitchoverFacts {
  readonly cluster: ClusterFacts;
  readonly candidate: MemberFacts | undefined;
  readonly obstacles: readonly Obstacle[];
  /** The worst thing about the cluster, its leader or the candidate. */
  readonly critical: ClusterFinding | undefined;
}

const PASSWORD = 'set POSTGRES_USER and POSTGRES_PASSWORD to a superuser of the cluster: success must be proven by the servers';

/** First match wins; none: it may be done. */
export const switchoverRefusals = [
  {
    id: 'no-leader-to-hand-over',
    when: ({ cluster }) => cluster.leader === null,
    words: 'there is no leader that could hand over',
    ...refuse('list who may take over: `dbkit ha why-not`, then `dbkit ha failover`'),
  },
  {
    id: 'candidate-leads-already',
    when: ({ cluster, candidate }) => candidate !== undefined && candidate.name === cluster.leader,
    words: '{candidate} is the leader already',
    ...refuse('name another member, or none: the one that is nearest is taken'),
  },
  {
    id: 'cluster-is-unwell',
    when: ({ critical }) => critical !== undefined,
    words: 'the cluster is not well: {critical}',
    ...refuse('mend that first (`dbkit ha status`), or `dbkit ha failover` where the leader is lost'),
  },
  {
    id: 'nobody-may-take-over',
    when: ({ candidate }) => candidate === undefined,
    words: 'no member may take over',
    ...refuse('list each reason: `dbkit ha why-not`'),
  },
  {
    id: 'candidate-may-not-lead',
    when: ({ obstacles }) => obstacles.length > 0,
    words: '{candidate} may not take over: {obstacles}',
    ...refuse('name another member, or mend it: `dbkit ha why-not`'),
  },
  {
    id: 'handing-over-unproven',
    when: ({ cluster, candidate }) => !leaderOf(cluster)?.own || !candidate?.own,
    words: 'the servers do not let dbkit in, so nobody could tell whether it worked',
    ...refuse(PASSWORD),
  },
] as const satisfies readonly Refuses<SwitchoverFacts>[];

/** Everything that an unplanned change of leader depends on. */
export interface FailoverFacts {
  readonly cluster: ClusterFacts;
  readonly candidate: MemberFacts | undefined;
  /** A person said that rows may be lost. */
  readonly acceptLoss: boolean;
  /** A person said that a leader which is well shall go. */
  readonly force: boolean;
}

const isSynchronous = (member: MemberFacts | undefined): boolean => member?.role === 'synchronous' || member?.role === 'quorum';

/** First match wins; none: it may be done. */
export const failoverRefusals = [
  {
    id: 'leader-is-well',
    when: ({ cluster, force }) => {
      const leader = leaderOf(cluster);
      return !force && leader?.isWritable === true && leader.patroni !== null;
    },
    words: '{leader} leads and takes writes',
    ...refuse('`dbkit ha switchover` loses nothing; --force does it nevertheless'),
  },
  {
    id: 'failover-to-the-leader',
    when: ({ cluster, candidate }) => candidate !== undefined && candidate.name === cluster.leader,
    words: '{candidate} is the leader',
    ...refuse('name another member: `dbkit ha why-not` lists them'),
  },
  {
    id: 'failover-to-a-silent-member',
    when: ({ candidate }) => !candidate?.patroni,
    words: 'no member that could be promoted answers',
    ...refuse('bring a member back: `dbkit ha status`'),
  },
  {
    id: 'failover-unproven',
    when: ({ candidate }) => candidate?.own === null,
    words: 'the server of {candidate} does not let dbkit in, so nobody could tell what it holds',
    ...refuse(PASSWORD),
  },
  {
    id: 'failover-to-asynchronous',
    when: ({ cluster, candidate, acceptLoss }) => !acceptLoss && cluster.settings?.isSynchronous === true && !isSynchronous(candidate),
    words: '{candidate} is not synchronous, so rows may be missing there that were acknowledged',
    ...refuse('name the synchronous one, or bring it back; --accept-loss takes {candidate} nevertheless'),
  },
  {
    id: 'failover-loses-wal',
    when: ({ candidate, acceptLoss }) => !acceptLoss && (candidate?.lagBytes ?? 0) > 0,
    words: '{candidate} lacks {lagBytes} bytes of WAL that the leader had written',
    ...refuse('bring that leader back, or name a member that has more; --accept-loss gives those rows up'),
  },
  {
    id: 'failover-loss-unknown',
    when: ({ candidate, acceptLoss }) => !acceptLoss && candidate?.lagBytes === null,
    words: 'nobody knows how much of the leader’s WAL {candidate} lacks',
    ...refuse('bring etcd or the old leader back; --accept-loss goes on without knowing'),
  },
] as const satisfies readonly Refuses<FailoverFacts>[];

/** Everything that a rebuild of a member depends on. */
export interface ReinitFacts {
  readonly cluster: ClusterFacts;
  readonly member: MemberFacts;
  /** WAL that it has and the leader's timeline does not; null: not known. */
  readonly ownBytes: number | null;
  readonly acceptLoss: boolean;
}

/** First match wins; none: it may be done. */
export const reinitRefusals = [
  {
    id: 'rebuild-of-the-leader',
    when: ({ cluster, member }) => member.name === cluster.leader,
    words: '{member} is the leader',
    ...refuse('hand over first: `dbkit ha switchover`'),
  },
  {
    id: 'rebuild-of-a-writable-server',
    when: ({ member }) => member.isWritable === true,
    words: '{member} takes writes: what it took would be gone',
    ...refuse('stop its PostgreSQL and keep its data directory first'),
  },
  {
    id: 'rebuild-from-nothing',
    when: ({ cluster }) => leaderOf(cluster)?.isWritable !== true,
    words: 'there is no leader that takes writes, so there may be nothing better than what {member} holds',
    ...refuse('bring a leader up first: `dbkit ha why-not`'),
  },
  {
    id: 'rebuild-of-a-silent-member',
    when: ({ member }) => member.patroni === null,
    words: 'the Patroni of {member} does not answer, and it is the one that rebuilds',
    ...refuse('start Patroni there'),
  },
  {
    id: 'rebuild-loses-rows',
    when: ({ ownBytes, acceptLoss }) => !acceptLoss && (ownBytes ?? 0) > 0,
    words: '{member} has {ownBytes} bytes of WAL that the leader never had: rows in it would be gone',
    ...refuse('copy its data directory away first, then add --accept-loss'),
  },
  {
    id: 'rebuild-loss-unknown',
    when: ({ ownBytes, acceptLoss }) => !acceptLoss && ownBytes === null,
    words: 'nobody knows whether {member} has rows that the leader never had',
    ...refuse('start its server and try again, or copy its data directory away first; --accept-loss goes on without knowing'),
  },
] as const satisfies readonly Refuses<ReinitFacts>[];
