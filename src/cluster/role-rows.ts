import type { Alert } from '../alerts/alert.ts';
import { decide, fill } from '../kernel/reasons.ts';
import type { Role } from './answers.ts';
import { type ClusterFacts, isLeader } from './facts.ts';

/** A member whose role is another than it was. */
export interface RoleChange {
  readonly member: string;
  readonly from: Role;
  readonly to: Role;
}

const leads = (role: Role): boolean => role === 'leader' || role === 'standby-leader';

/** First match wins: how loud a change of role is told. */
export const roleRows = [
  { id: 'role-leads-now', when: ({ to }) => leads(to), then: 'WARNING', words: '{member} leads now; before it was {from}' },
  { id: 'role-leads-no-more', when: ({ from }) => leads(from), then: 'WARNING', words: '{member} leads no more; now it is {to}' },
  { id: 'role-changed', when: () => true, then: 'INFO', words: '{member} is {to} now; before it was {from}' },
] as const satisfies readonly {
  readonly id: string;
  readonly when: (change: RoleChange) => boolean;
  readonly then: Alert['severity'];
  readonly words: string;
}[];

/** The cluster as a monitor saw it last. */
export interface ClusterSeen {
  readonly at: string;
  readonly leader: string | null;
  readonly members: Readonly<Record<string, { readonly role: Role; readonly answeredAt: string | null }>>;
}

/** The memory of this look; a role that nobody says now is still the last one that was known. Pure. */
export function seenNow({ members, leader }: ClusterFacts, before: ClusterSeen | undefined, at: string): ClusterSeen {
  const rows = members.map(({ name, role, patroni }) => {
    const known = before?.members[name];
    return [
      name,
      { role: role === 'unknown' ? (known?.role ?? role) : role, answeredAt: patroni === null ? (known?.answeredAt ?? null) : at },
    ];
  });
  return { at, leader, members: Object.fromEntries(rows) };
}

/** Every change of role of these members; one that is seen for the first time has changed nothing. Pure. */
export const changesOf = (before: ClusterSeen | undefined, now: ClusterSeen, own: readonly string[]): readonly RoleChange[] =>
  own.flatMap((member) => {
    const [from, to] = [before?.members[member]?.role, now.members[member]?.role];
    return from === undefined || to === undefined || from === 'unknown' || to === 'unknown' || from === to ? [] : [{ member, from, to }];
  });

/** 'n2 leads now; before it was synchronous' */
export const changeWords = (change: RoleChange): string => fill(decide(roleRows, change).words, { ...change });

/** Topic of every alert about roles: the end of the trouble is told once all is in order again. */
const TOPIC = 'role';

export function changeAlert(change: RoleChange, { leader }: Pick<ClusterSeen, 'leader'>): Alert {
  return {
    topic: TOPIC,
    severity: decide(roleRows, change).then,
    resolves: false,
    title: changeWords(change),
    lines: [leader === null ? 'The cluster has no leader now.' : `${leader} leads the cluster now.`],
    command: leader === null ? 'dbkit runbook primary-down' : 'dbkit ha status',
    role: change,
  };
}

/** One leads, and every other member streams from it: what a change of role had disturbed is over; null where it is not. Pure. */
export function orderAlert(cluster: ClusterFacts): Alert | null {
  const isInOrder =
    cluster.leader !== null &&
    cluster.members.every((member) => (isLeader(member, cluster) ? member.isWritable === true : member.own?.isStreaming === true));
  return isInOrder
    ? {
        topic: TOPIC,
        severity: 'SUCCESS',
        resolves: true,
        title: `${cluster.leader} leads, and every other member follows it`,
        lines: [],
        command: null,
      }
    : null;
}
