/** The disaster of a drill, and what counts as passed. */
export interface Drill {
  readonly id: string;
  readonly words: string;
  readonly targets: DrillTargets;
}

export interface DrillTargets {
  /** The longest time without an acknowledged commit, at each address. */
  readonly rtoSeconds: number;
  readonly twoWritableSeconds: number;
  /** Until every member is back. */
  readonly redundantSeconds: number;
  /** Errors that clients saw; null: they may see some. */
  readonly errors: number | null;
}

const within = (rtoSeconds: number, over: Partial<DrillTargets> = {}): DrillTargets => ({
  rtoSeconds,
  twoWritableSeconds: 0,
  redundantSeconds: 120,
  errors: null,
  ...over,
});

/** A machine is found to be dead within `ttl`, and the documents promise 30 s; a Patroni that hangs or dies is its guard's business. */
export const drills = [
  { id: 'leader-node', words: 'the leader’s machine dies: its dbkit, Patroni and server at once', targets: within(30) },
  { id: 'postmaster', words: 'the leader’s server is killed', targets: within(30) },
  { id: 'patroni-killed', words: 'the leader’s Patroni is killed', targets: within(10) },
  { id: 'patroni-hung', words: 'the leader’s Patroni stands still', targets: within(10) },
  {
    id: 'freeze',
    words: 'everything of the leader stands still until after its lease, and goes on',
    targets: within(40, { twoWritableSeconds: 0.5 }),
  },
  { id: 'etcd-down', words: 'etcd stands still for 30 s', targets: within(5) },
  { id: 'partition', words: 'the leader is cut off from etcd, from the other members and from clients', targets: within(30) },
  { id: 'replica-lost', words: 'the machine of a synchronous replica dies', targets: within(20) },
  { id: 'cold-start', words: 'all machines die at once, and start again', targets: within(120) },
  { id: 'switchover-under-load', words: 'a planned switchover while clients write through PgBouncer', targets: within(10, { errors: 0 }) },
] as const satisfies readonly Drill[];

export type DrillName = (typeof drills)[number]['id'];

export const drillNamed = (name: string): (Drill & { readonly id: DrillName }) | undefined => drills.find(({ id }) => id === name);
