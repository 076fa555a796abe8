import { bytes, duration, moment } from '../kernel/units.ts';

/** A cluster on Patroni, as the rows of the runbooks ask for it. Empty lists and null: nobody can tell, or there is none. */
export interface ClusterPart {
  readonly hasCluster: boolean;
  readonly scope: string | null;
  readonly members: readonly string[];
  /** Members whose Patroni, or whose server, answers; and the others. */
  readonly answering: readonly string[];
  readonly silent: readonly string[];
  /** A Patroni reads the store of agreement (etcd). */
  readonly isAgreed: boolean;
  readonly isPaused: boolean;
  readonly leader: string | null;
  /** The leader, else the one that led last, by the memory of a monitor or the cluster's own history. */
  readonly primary: string | null;
  readonly primaryHost: string | null;
  /** Neither its Patroni nor its server answers. */
  readonly isPrimarySilent: boolean;
  /** Its Patroni answers and its server does not. */
  readonly isPrimaryServerDown: boolean;
  /** Since it was last heard, by a monitor. */
  readonly unreachableSince: string | null;
  /** Members that answer and receive nothing from it, and those that still stream. */
  readonly seenDownBy: readonly string[];
  readonly streaming: readonly string[];
  readonly writers: readonly string[];
  /** Those of them that do not hold the lock. */
  readonly wrongWriters: readonly string[];
  /** The member that may be promoted and is nearest; and the one with the most WAL, which may lack rows. */
  readonly candidate: string | null;
  readonly candidateLagBytes: number | null;
  readonly furthest: string | null;
  readonly wouldFailOver: boolean;
  readonly obstacles: readonly string[];
  readonly ttlSeconds: number | null;
  readonly isSynchronous: boolean;
  readonly hasSynchronous: boolean;
  /** Replicas beyond the limit. */
  readonly laggards: readonly string[];
  readonly laggard: string | null;
  readonly lagBytes: number | null;
  readonly lagLimitBytes: number | null;
  /** A replica that does not stream: its name, and why. */
  readonly replica: string | null;
  readonly replicaHost: string | null;
  readonly isReplicaSilent: boolean;
  readonly isReplicaServerDown: boolean;
  readonly isReplicaDiverged: boolean;
  readonly lastChangeAt: string | null;
  readonly seenAt: string | null;
  readonly poolerAddress: string | null;
  readonly poolerWaits: boolean;
}

/** The server of this machine, its data and its backups. */
export interface ServerPart {
  readonly dataDir: string;
  readonly port: number;
  readonly answers: boolean;
  readonly isHeld: boolean;
  readonly isStandby: boolean;
  readonly dataBytes: number | null;
  /** Damage, worst first: 'missing-relation base/5/16384'. */
  readonly damage: readonly string[];
  /** 'public.orders', where a server could name it. */
  readonly damagedTable: string | null;
  readonly troubles: readonly string[];
  readonly backups: number;
  readonly goodBackup: string | null;
  readonly goodBackupAt: string | null;
  readonly provenBackup: string | null;
  /** The moments that can be restored on the present timeline. */
  readonly firstMomentAt: string | null;
  readonly lastMomentAt: string | null;
  /** The last DROP, TRUNCATE or large DELETE that the WAL holds: in words, as `--before` takes it, and its table. */
  readonly event: string | null;
  readonly eventAt: string | null;
  readonly statement: string | null;
  readonly eventTable: string | null;
  /** The fullest volume. */
  readonly volume: string | null;
  readonly volumePath: string | null;
  readonly volumePercent: number | null;
  readonly freeBytes: number | null;
  readonly isVolumeFull: boolean;
  readonly fullInSeconds: number | null;
  /** Free where a restore is laid beside the data. */
  readonly dataFreeBytes: number | null;
  readonly slot: string | null;
  readonly slotBytes: number | null;
  readonly archiveFailures: number;
  readonly walBytes: number | null;
  readonly lastRecoveryAt: string | null;
}

export interface RunbookFacts extends ClusterPart, ServerPart {
  readonly at: string;
}

const listed = (names: readonly string[]): string =>
  names.length < 2 ? (names[0] ?? 'nobody') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

/** Facts as they stand in a sentence: the name of each says its unit. Pure. */
export function told(facts: RunbookFacts): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, wordsOf(name, value)]));
}

function wordsOf(name: string, value: unknown): string {
  if (value === null || value === undefined) return /(At|Since|Seconds)$/.test(name) ? 'a time that is not known' : 'not known';
  if (Array.isArray(value)) return listed(value as string[]);
  if (typeof value === 'number' && name.endsWith('Bytes')) return bytes(value);
  if (typeof value === 'number' && name.endsWith('Seconds')) return duration(value);
  if (typeof value === 'string' && /(At|Since)$/.test(name)) return moment(value);
  return String(value);
}
