import type { Config } from '../../config/config.ts';
import { type BackupFrom, maxLagBytes } from '../../config/ha-settings.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { isSince } from '../lint/dynamic-rows.ts';
import { type Member, membersOf, type Place, placeOf } from '../members.ts';

/** A member as its machine runs it. */
export interface PlannedMember {
  readonly name: string;
  readonly api: Place;
  readonly server: Place;
  readonly dataDir: string;
  /** Where Patroni writes the passwords that libpq reads; default: in its user's home. */
  readonly passwordFile?: string;
}

/** An etcd. */
export interface PlannedStore {
  readonly name: string;
  readonly client: Place;
  readonly peer: Place;
  readonly dataDir: string;
}

/** Everything that the files of a cluster say. It holds no secret: passwords come to Patroni by its environment. */
export interface ClusterPlan {
  readonly scope: string;
  readonly members: readonly PlannedMember[];
  readonly stores: readonly PlannedStore[];
  /** Version 2 of etcd's protocol: for Patroni before 3.0.3, which loses rows with 3. */
  readonly storeApi: 2 | 3;
  readonly settings: {
    readonly ttlSeconds: number;
    readonly loopWaitSeconds: number;
    readonly retryTimeoutSeconds: number;
    readonly maximumLagBytes: number;
    readonly isSynchronous: boolean;
    readonly isPaused: boolean;
  };
  /** null: found by PATH. */
  readonly binDir: string | null;
  /** null: PostgreSQL's own default. */
  readonly socketDir: string | null;
  /** Settings of PostgreSQL. */
  readonly parameters: Readonly<Record<string, string | number>>;
  readonly writes: Place;
  readonly reads: Place;
  readonly pooler: Place;
  readonly poolerUserList: string;
  readonly superuser: string;
  readonly watchdog: 'off' | 'automatic';
  /** Replicas are made of base backups, and WAL is archived; null: no backup folder is configured. */
  readonly backups: PlannedBackups | null;
  /** Each member decides whose turn a backup is, so all must go by the same. */
  readonly backupFrom: BackupFrom;
}

export interface PlannedBackups {
  /** The repository, as every member sees it. */
  readonly dir: string;
  /** How Patroni of this member calls dbkit, before the verb. */
  readonly dbkit: (member: string) => string;
  /** How the server calls dbkit-wal. */
  readonly wal: string;
}

const STORE_PEER_PORT = 2380;
const STORES_MAX = 3;
const RETRY_SECONDS_MAX = 5;

/**
 * The plan for the machines that `ha:` names. Rejects with `config.invalid` where it names no member, a time that no retry fits in, or what cannot be
 * rendered.
 */
export function planOf(
  { ha, postgresql }: Pick<Config, 'ha' | 'postgresql'>,
  patroniVersion: string,
  backups: ClusterPlan['backups'] = null,
): ClusterPlan {
  const members = membersOf(ha, postgresql.port);
  if (members.some(({ api }) => api.startsWith('https:')))
    throw new DbkitError('config.invalid', 'a member has an API over https, and dbkit renders no certificates', {
      hint: 'render with http in ha.members, then add certificates to restapi in each patroni.yml',
    });
  const writes = everywhere(ha.writeAddress ?? 'any:5000'); // A virtual address may be on another machine now.
  return {
    scope: ha.scope,
    members: members.map((member) => ({ ...member, api: apiOf(member), dataDir: postgresql.dataDir })),
    stores: storesOf(members, ha.etcd),
    storeApi: isSince(patroniVersion.split('.').map(Number), [3, 0, 3]) ? 3 : 2,
    settings: settingsOf(ha, members.length),
    binDir: postgresql.binDir ?? (postgresql.version === undefined ? null : `/usr/lib/postgresql/${postgresql.version}/bin`),
    socketDir: postgresql.socketDir,
    parameters: Object.fromEntries(Object.entries(postgresql.settings).map(([name, value]) => [name, String(value)])),
    writes,
    reads: { ...writes, port: writes.port + 1 },
    pooler: everywhere(ha.pooler ?? 'any:6432'),
    poolerUserList: '/etc/pgbouncer/userlist.txt',
    superuser: postgresql.superuser,
    watchdog: 'automatic',
    backups,
    backupFrom: ha.backupFrom,
  };
}

const everywhere = (address: string): Place => ({ host: '0.0.0.0', port: placeOf(address).port });

function apiOf({ api }: Member): Place {
  const { hostname, port } = new URL(api);
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port || 80) };
}

/** An even number survives no more than one less does. */
function storesOf(members: readonly Member[], named: readonly string[] | undefined): readonly PlannedStore[] {
  const hosts = [...new Set(members.map((member) => apiOf(member).host))];
  const places = named?.map(placeOf) ?? hosts.slice(0, hosts.length < STORES_MAX ? 1 : STORES_MAX).map((host) => ({ host, port: 2379 }));
  return places.map((client, index) => ({
    name: members.find((member) => apiOf(member).host === client.host)?.name ?? `etcd${index + 1}`,
    client,
    peer: { host: client.host, port: STORE_PEER_PORT },
    dataDir: '/var/lib/etcd/dbkit',
  }));
}

/** `retry_timeout` is what fits twice into ttl beside loop_wait. In synchronous mode a crashed leader is left at once; else its own recovery loses nothing. */
export function settingsOf(
  ha: Pick<Config['ha'], 'failoverTimeoutSeconds' | 'checkIntervalSeconds' | 'maxReplicationLag' | 'autoFailover'>,
  members: number,
): ClusterPlan['settings'] {
  const { failoverTimeoutSeconds: ttlSeconds, checkIntervalSeconds: loopWaitSeconds } = ha;
  const retryTimeoutSeconds = Math.min(RETRY_SECONDS_MAX, Math.floor((ttlSeconds - loopWaitSeconds) / 2));
  if (retryTimeoutSeconds < 1)
    throw new DbkitError('config.invalid', `within ${ttlSeconds} s nobody can look every ${loopWaitSeconds} s and ask twice`, {
      hint: 'raise ha.failoverTimeoutSeconds (FAILOVER_TIMEOUT), or lower ha.checkIntervalSeconds (FAILOVER_CHECK_INTERVAL)',
    });
  return {
    ttlSeconds,
    loopWaitSeconds,
    retryTimeoutSeconds,
    maximumLagBytes: maxLagBytes(ha),
    isSynchronous: members >= 3,
    isPaused: !ha.autoFailover,
  };
}
