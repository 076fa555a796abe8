import type { ClusterView, DynamicSettings, PatroniView, Role } from './answers.ts';
import type { Place } from './members.ts';
import type { ServerTrouble, ServerView } from './server.ts';

/** One member: what the cluster says of it, what its Patroni says, and what its server says itself. */
export interface MemberFacts {
  readonly name: string;
  readonly api: string;
  readonly server: Place;
  readonly role: Role;
  /** Patroni's word for its server (`running`, `start failed`, …); null where nobody says it. */
  readonly state: string | null;
  /** null: its Patroni does not answer. */
  readonly patroni: (PatroniView & { readonly isTurning: boolean; readonly dcsAgeSeconds: number | null }) | null;
  /** null: see `trouble`. */
  readonly own: ServerView | null;
  readonly trouble: ServerTrouble | null;
  /** Its server takes writes; null: not known. */
  readonly isWritable: boolean | null;
  /** null: not known, as of a standby that receives nothing. */
  readonly timeline: number | null;
  /** Bytes of WAL behind the leader; where the leader's server is gone, behind what it last wrote down in the store. null: not known. */
  readonly lagBytes: number | null;
  readonly isNeverLeader: boolean;
  readonly needsRestart: boolean;
}

/** The cluster at one moment. */
export interface ClusterFacts {
  readonly scope: string | null;
  readonly members: readonly MemberFacts[];
  /** The name of the holder of the lock; where no Patroni can read the store, of the one that runs as primary. */
  readonly leader: string | null;
  /** A Patroni that sees the store of agreement (etcd) says so; else it is put together from what the members say. */
  readonly isAgreed: boolean;
  readonly isPaused: boolean;
  /** The time for which it was paused is over, by the clock here. */
  readonly isPauseOver: boolean;
  readonly settings: DynamicSettings | null;
  readonly scheduledSwitchover: ClusterView['scheduledSwitchover'];
  /** Members that Patroni knows and `ha.members` does not. */
  readonly unlisted: readonly string[];
}

/** How long after a leader's death another may be elected at the soonest: Patroni raises a ttl below 20 since 3.2, and `GET /config` still says it. */
export function effectiveTtlSeconds({ settings, members }: Pick<ClusterFacts, 'settings' | 'members'>): number {
  const ttl = settings?.ttlSeconds ?? DEFAULT_TTL_SECONDS;
  return Math.max(ttl, ...members.map(({ patroni }) => (patroni === null ? 0 : leastTtlSeconds(patroni.version))));
}

/** The ttl that this version of Patroni takes at least, whatever it is told. */
export const leastTtlSeconds = (version: string): number => (raisesTtl(version) ? TTL_SECONDS_MIN : 0);

const DEFAULT_TTL_SECONDS = 30;
const TTL_SECONDS_MIN = 20; // patroni/config.py, validate of `ttl`, since 3.2.

function raisesTtl(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 3 || (major === 3 && minor >= 2);
}

export const isLeader = ({ name }: Pick<MemberFacts, 'name'>, { leader }: Pick<ClusterFacts, 'leader'>): boolean => name === leader;

/**
 * The holder of the lock runs as a replica: for a moment while it is promoted; for good where etcd has lost its majority, and the ones that are left
 * still answer reads (etcd's API of version 2), so that a lock which nobody can renew is never seen to end.
 */
export function hasSteppedDown(cluster: Pick<ClusterFacts, 'members' | 'leader'>): boolean {
  const leader = leaderOf(cluster);
  return leader?.role === 'leader' && leader.patroni?.isPrimary === false && leader.own?.isWritable === false;
}

export const leaderOf = ({ members, leader }: Pick<ClusterFacts, 'members' | 'leader'>): MemberFacts | undefined =>
  members.find(({ name }) => name === leader);
