import { isIP } from 'node:net';
import type { ClusterPlan, PlannedStore } from './plan.ts';

/** Where the files of one machine go. */
export const places = {
  patroni: '/etc/patroni/config.yml',
  passwords: '/etc/patroni/passwords.env',
  dbkit: '/etc/dbkit/dbkit.yaml',
  store: '/etc/etcd/dbkit.yml',
  patroniUnit: '/etc/systemd/system/patroni.service',
  storeUnit: '/etc/systemd/system/etcd.service',
  router: '/etc/haproxy/haproxy.cfg',
  pooler: '/etc/pgbouncer/pgbouncer.ini',
} as const;

/** dbkit has so long for a stop: a leader's last checkpoint may take its time. */
export const STOP_SECONDS = 50;

/**
 * Only dbkit, or Patroni where nobody guards it, is told to stop: it stops the rest. One that was killed is back before its lease ends. The folders
 * are dbkit's state and its repository.
 */
export function patroniUnit({ binDir }: ClusterPlan, { user, isGuarded }: { readonly user: string; readonly isGuarded: boolean }): string {
  const path = `${binDir === null ? '' : `${binDir}:`}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
  const start = isGuarded
    ? `StateDirectory=dbkit postgresql-backup\nExecStart=/usr/bin/env dbkit entrypoint --strict --config ${places.dbkit}`
    : `ExecStart=/usr/bin/patroni ${places.patroni}`;
  return `[Unit]
Description=${isGuarded ? 'dbkit, which runs and guards Patroni and its PostgreSQL' : 'Patroni, which runs PostgreSQL'}
After=network-online.target etcd.service
Wants=network-online.target

[Service]
User=${user}
EnvironmentFile=${places.passwords}
Environment=PATH=${path}
${start}
ExecReload=/bin/kill -s HUP $MAINPID
KillMode=process
TimeoutStopSec=60
Restart=on-failure
RestartSec=1

[Install]
WantedBy=multi-user.target
`;
}

/** Where all machines are known by address, nobody else reaches it. */
export function storeUnit({ members, stores }: ClusterPlan): string {
  const hosts = [...new Set([...members.map(({ api }) => api.host), ...stores.map(({ client }) => client.host)])];
  const closed = hosts.every((host) => isIP(host) !== 0) ? `IPAddressDeny=any\nIPAddressAllow=localhost ${hosts.join(' ')}\n` : '';
  return `[Unit]
Description=etcd, in which Patroni agrees who leads
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
User=etcd
StateDirectory=etcd
ExecStart=/usr/bin/etcd --config-file ${places.store}
${closed}Restart=always
RestartSec=1
LimitNOFILE=65536
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
`;
}

/** Names without values: what a cluster is secured with is nobody's file but its own. */
export const passwordsText = `# The same on every member, mode 0600, owned by the user whom Patroni runs as.
PATRONI_SUPERUSER_PASSWORD=
PATRONI_REPLICATION_PASSWORD=
PATRONI_REWIND_PASSWORD=
`;

/** The etcd of this member's machine, where there is one. */
export const storeAt = ({ stores }: ClusterPlan, host: string): PlannedStore | undefined =>
  stores.find(({ client }) => client.host === host);
