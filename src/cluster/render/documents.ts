import { isIP } from 'node:net';
import { shellArgument } from '../../kernel/shell-word.ts';
import type { Place } from '../members.ts';
import type { ClusterPlan, PlannedBackups, PlannedMember, PlannedStore } from './plan.ts';
import { STOP_SECONDS } from './units.ts';

export const addressOf = ({ host, port }: Place): string => `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
const url = (place: Place): string => `http://${addressOf(place)}`;

export const REPLICATOR = 'replicator';

/**
 * patroni.yml of one member, without passwords (PATRONI_SUPERUSER_PASSWORD and its like). The profile is the one that was measured: a dead leader is
 * replaced within ttl, no acknowledged row is lost in synchronous mode, nothing is removed by Patroni itself.
 */
export function memberDocument(plan: ClusterPlan, member: PlannedMember): object {
  const rules = hbaRules(plan);
  return {
    scope: plan.scope,
    name: member.name,
    restapi: {
      listen: addressOf(member.api),
      connect_address: addressOf(member.api),
      allowlist: [...new Set(plan.members.map(({ api }) => api.host))],
      allowlist_include_members: true,
    },
    [plan.storeApi === 2 ? 'etcd' : 'etcd3']: { hosts: plan.stores.map(({ client }) => addressOf(client)) },
    bootstrap: { dcs: dynamicDocument(plan), initdb: [{ encoding: 'UTF8' }, 'data-checksums'], pg_hba: rules },
    postgresql: {
      listen: addressOf(member.server),
      connect_address: addressOf(member.server),
      data_dir: member.dataDir,
      ...(plan.binDir === null ? {} : { bin_dir: plan.binDir }),
      ...(member.passwordFile === undefined ? {} : { pgpass: member.passwordFile }),
      authentication: { superuser: { username: plan.superuser }, replication: { username: REPLICATOR }, rewind: { username: 'rewinder' } },
      pg_hba: rules,
      parameters: { ...(plan.socketDir === null ? {} : { unix_socket_directories: plan.socketDir }) },
      remove_data_directory_on_rewind_failure: false,
      remove_data_directory_on_diverged_timelines: false,
      ...replicaMethods(plan, member),
    },
    watchdog: { mode: plan.watchdog },
  };
}

/** `keep_data`: dbkit sets aside what is there, where Patroni would remove it. */
function replicaMethods({ backups }: ClusterPlan, { name }: PlannedMember): object {
  if (backups === null) return {};
  const dbkit = { command: `${backups.dbkit(name)} ha create-replica`, keep_data: true, no_leader: true };
  return { create_replica_methods: ['dbkit', 'basebackup'], dbkit };
}

/** dbkit.yaml of a member's machine: Patroni takes PostgreSQL's place, and its guard knows the others. It holds no secret. */
export function dbkitDocument(plan: ClusterPlan, member: PlannedMember, patroniFile: string): object {
  const members = plan.members.map(({ name, api, server }) => [name, { api: url(api), server: addressOf(server) }]);
  return {
    stopSeconds: STOP_SECONDS,
    postgresql: {
      dataDir: member.dataDir,
      port: member.server.port,
      ...(plan.socketDir === null ? {} : { socketDir: plan.socketDir }),
      ...(plan.binDir === null ? {} : { binDir: plan.binDir }),
    },
    services: { patroni: { config: patroniFile } },
    ...(plan.backups === null ? {} : { backupDir: plan.backups.dir }),
    ha: { scope: plan.scope, members: Object.fromEntries(members), backupFrom: plan.backupFrom },
  };
}

export function dynamicDocument({ settings, parameters, backups }: Pick<ClusterPlan, 'settings' | 'parameters' | 'backups'>): object {
  const archive = backups === null ? {} : archiveParameters(backups);
  const recovery = backups === null ? {} : { recovery_conf: { restore_command: `${walOf(backups)} -s fetch "%f" "%p"` } };
  return {
    ttl: settings.ttlSeconds,
    loop_wait: settings.loopWaitSeconds,
    retry_timeout: settings.retryTimeoutSeconds,
    maximum_lag_on_failover: settings.maximumLagBytes,
    primary_start_timeout: settings.isSynchronous ? 0 : 300,
    check_timeline: true,
    synchronous_mode: settings.isSynchronous,
    failsafe_mode: true,
    ...(settings.isPaused ? { pause: true } : {}),
    postgresql: { use_pg_rewind: true, use_slots: true, parameters: { ...parameters, wal_log_hints: 'on', ...archive }, ...recovery },
  };
}

/** For a shell, and before that for PostgreSQL, which replaces %f and its like. */
const walOf = ({ wal, dir }: PlannedBackups): string => `${wal} -d ${shellArgument(dir)}`.replaceAll('%', '%%');

/** A segment that nobody fills for so long is archived all the same: a moment in it can be restored when every machine is gone. */
const ARCHIVE_TIMEOUT = '5min';

const archiveParameters = (backups: PlannedBackups): object => ({
  archive_mode: 'on',
  archive_command: `${walOf(backups)} push "%p"`,
  archive_timeout: ARCHIVE_TIMEOUT,
});

/** Members replicate from their own addresses; everybody else needs a password that is no secret on the wire. */
function hbaRules({ members }: ClusterPlan): readonly string[] {
  const hosts = [...new Set(members.map(({ server }) => server.host))];
  const mask = (host: string): string => (isIP(host) === 4 ? `${host}/32` : isIP(host) === 6 ? `${host}/128` : host);
  return [
    'local all all peer',
    ...hosts.map((host) => `host replication ${REPLICATOR} ${mask(host)} scram-sha-256`),
    'host all all all scram-sha-256',
  ];
}

/** The configuration file of one etcd (etcd's operations guide, "Configuration file"). */
export function storeDocument({ stores, scope, storeApi }: ClusterPlan, store: PlannedStore): object {
  const own = store.client.host.startsWith('127.') ? [] : [`http://127.0.0.1:${store.client.port}`];
  return {
    name: store.name,
    'data-dir': store.dataDir,
    'listen-client-urls': [url(store.client), ...own].join(','),
    'advertise-client-urls': url(store.client),
    'listen-peer-urls': url(store.peer),
    'initial-advertise-peer-urls': url(store.peer),
    'initial-cluster': stores.map(({ name, peer }) => `${name}=${url(peer)}`).join(','),
    'initial-cluster-token': scope,
    'initial-cluster-state': 'new',
    ...(storeApi === 2 ? { 'enable-v2': true } : {}),
  };
}

/** haproxy.cfg: writes are led to whoever leads, reads to the replicas. */
export function routerText({ members, writes, reads }: ClusterPlan): string {
  const section = (name: string, place: Place, path: string): string =>
    [
      `listen ${name}`,
      ` bind ${isIP(place.host) === 6 ? `[${place.host}]` : place.host === '0.0.0.0' ? '*' : place.host}:${place.port}`,
      ` http-check send meth GET uri ${path}`,
      ...members.map(({ name: member, server, api }) => ` server ${member} ${addressOf(server)} check addr ${api.host} port ${api.port}`),
    ].join('\n');
  return `global
 maxconn 2000
defaults
 mode tcp
 timeout connect 4s
 timeout client 30m
 timeout server 30m
 timeout check 1s
 default-server inter 1s fastinter 250ms downinter 250ms fall 2 rise 1 on-marked-down shutdown-sessions
 option httpchk
 http-check expect status 200
${section('write', writes, '/primary')}
${section('read', reads, '/replica')}
`;
}

/** pgbouncer.ini: in front of the write address of the same machine. */
export function poolerText({ writes, pooler, poolerUserList, superuser }: ClusterPlan): string {
  const router = writes.host === '0.0.0.0' ? '127.0.0.1' : writes.host;
  return `[databases]
* = host=${router} port=${writes.port}
[pgbouncer]
listen_addr = ${pooler.host === '0.0.0.0' ? '*' : pooler.host}
listen_port = ${pooler.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${poolerUserList}
pool_mode = transaction
server_login_retry = 1
ignore_startup_parameters = extra_float_digits,options
admin_users = ${superuser}
`;
}
