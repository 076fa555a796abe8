import { type BackupFrom, maxLagBytes } from '../config/ha-settings.ts';
import { decide, type Row } from '../kernel/reasons.ts';
import { type ClusterFacts, isLeader, leaderOf, type MemberFacts } from './facts.ts';

/** Those who could take a base backup now. */
export interface CarrierFacts {
  /** ha.backupFrom. */
  readonly from: BackupFrom;
  /** This machine's member; null: it is none that is known. */
  readonly own: string | null;
  /** The replica that comes first among those that follow closely. */
  readonly replica: string | null;
  /** The leader, where it answers and takes writes. */
  readonly leader: string | null;
}

/** First match wins: which of the three takes it. Where nobody can tell every member takes one: too many are better than none. */
export const carrierRows = [
  {
    id: 'carrier-no-member',
    when: ({ own }) => own === null,
    then: 'own',
    words: 'this machine is no member of the cluster that dbkit knows of',
  },
  { id: 'carrier-every', when: ({ from }) => from === 'every', then: 'own', words: 'every member takes its own (ha.backupFrom)' },
  {
    id: 'carrier-replica',
    when: ({ from, replica }) => from === 'prefer-replica' && replica !== null,
    then: 'replica',
    words: '{replica} follows closely, and taking it there spares the leader',
  },
  {
    id: 'carrier-leader',
    when: ({ from, leader }) => from === 'leader' && leader !== null,
    then: 'leader',
    words: '{leader} leads, and the leader takes them (ha.backupFrom)',
  },
  {
    id: 'carrier-no-replica',
    when: ({ leader }) => leader !== null,
    then: 'leader',
    words: '{leader} leads, and no replica follows it closely',
  },
  {
    id: 'carrier-unknown',
    when: () => true,
    then: 'own',
    words: 'nobody is known to lead and to answer, and a backup too many is better than none',
  },
] as const satisfies readonly Row<CarrierFacts, 'own' | 'replica' | 'leader'>[];

/** Pure. */
export const decideCarrier = (facts: CarrierFacts): (typeof carrierRows)[number] => decide(carrierRows, facts);

/** A segment: what a copy lacks of that much is in the archive soon, or in the next backup. */
const LAG_BYTES_MIN = 16 * 1024 * 1024;
/**
 * A member sees its own lag a moment before or after the others see it. It is less strict with itself than they are with it, so that two
 * members rather both take a backup than each leaves it to the other.
 */
const OWN_LENIENCY = 4;

/** Pure. */
export function carrierFacts(
  cluster: ClusterFacts,
  own: string | null,
  ha: { readonly backupFrom: BackupFrom; readonly maxReplicationLag: string },
): CarrierFacts {
  const limitBytes = Math.max(LAG_BYTES_MIN, maxLagBytes(ha));
  const leader = leaderOf(cluster);
  const close = cluster.members.filter(
    (member) => !isLeader(member, cluster) && followsClosely(member, leader, member.name === own ? OWN_LENIENCY * limitBytes : limitBytes),
  );
  return {
    from: ha.backupFrom,
    own,
    replica: (close.find(({ role }) => role === 'replica') ?? close[0])?.name ?? null, // Commits wait for a synchronous one.
    leader: leader !== undefined && leads(leader) ? leader.name : null,
  };
}

/** The leader of a standby cluster takes no writes. */
const leads = ({ role, own, isWritable }: MemberFacts): boolean => isWritable === true || (role === 'standby-leader' && own !== null);

/**
 * By its server's own word; where that lets dbkit not in, by Patroni's. One whose last restartpoint is from before the last change of leader does
 * not: a backup that begins there crosses timelines, and could not be replayed without a person's help.
 */
function followsClosely(
  { own, trouble, patroni, lagBytes, timeline }: MemberFacts,
  leader: MemberFacts | undefined,
  limitBytes: number,
): boolean {
  if (own === null) return trouble?.kind === 'refused' && patroni?.state === 'running' && lagBytes !== null && lagBytes <= limitBytes;
  const ofLeader = leader?.timeline ?? timeline;
  const isOnItsTimeline = timeline === ofLeader && own.checkpointTimeline === ofLeader;
  const notReplayedBytes = own.walAt - own.replayedAt;
  return own.isStreaming && isOnItsTimeline && lagBytes !== null && lagBytes + notReplayedBytes <= limitBytes;
}
