/** A commit proves this about the server that took it. */
export interface Committed {
  readonly startedAt: string;
  readonly isWritable: boolean;
}

interface Seen {
  readonly committed: Committed | null;
  readonly reachesLeader: boolean | null;
}

/** The first row that matches is the finding. */
export const writeFindings = [
  {
    id: 'write-address-silent',
    when: ({ committed }) => committed === null,
    then: 'critical',
    words: 'no commit through {address}: {why}',
    next: 'look at HAProxy and at the leader',
  },
  {
    id: 'write-address-read-only',
    when: ({ committed }) => committed?.isWritable === false,
    then: 'critical',
    words: '{address} leads to a standby, which accepts no writes',
    next: 'look at the health checks of HAProxy: the write port must ask `/primary`',
  },
  {
    id: 'write-address-leads-astray',
    when: ({ reachesLeader }) => reachesLeader === false,
    then: 'critical',
    words: '{address} leads to another server than the leader {leader}',
    next: 'stop writing at once, and look at the health checks of HAProxy',
  },
] as const satisfies readonly {
  readonly id: string;
  readonly when: (seen: Seen) => boolean;
  readonly then: 'critical' | 'warning';
  readonly words: string;
  readonly next: string;
}[];
