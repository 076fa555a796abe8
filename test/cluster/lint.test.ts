import { expect, test } from 'vitest';
import { dynamicFacts, type dynamicRows } from '../../src/cluster/lint/dynamic-rows.ts';
import { lintSetups, type Setups } from '../../src/cluster/lint/lint.ts';
import type { memberRows } from '../../src/cluster/lint/member-rows.ts';
import { readDynamic, readMember } from '../../src/cluster/lint/patroni-setup.ts';
import type { poolerRows, routeRows, unitRows } from '../../src/cluster/lint/routing-rows.ts';
import { readPooler, readRoutes, readUnit } from '../../src/cluster/lint/routing-setup.ts';
import { readStore, type storeRows } from '../../src/cluster/lint/store-rows.ts';

type Tree = Record<string, unknown>;

const goodDynamic: Tree = {
  ttl: 20,
  loop_wait: 2,
  retry_timeout: 5,
  check_timeline: true,
  synchronous_mode: true,
  failsafe_mode: true,
  primary_start_timeout: 0,
  postgresql: { use_pg_rewind: true, parameters: { wal_log_hints: 'on' } },
};
const goodMember = {
  scope: 'shop',
  name: 'n1',
  etcd: { hosts: 'e1:2379,e2:2379,e3:2379' },
  restapi: { listen: '10.0.0.1:8008', connect_address: '10.0.0.1:8008', authentication: { username: 'p', password: 'secret' } },
  postgresql: {
    connect_address: '10.0.0.1:5432',
    data_dir: '/var/lib/postgresql/shop',
    pg_hba: ['local all all peer', 'host all all 10.0.0.0/24 scram-sha-256', 'host replication replicator 10.0.0.0/24 scram-sha-256'],
  },
};
const member = (over: Tree = {}, isReadableByAll = false) => readMember('/n1.yml', isReadableByAll, { ...goodMember, ...over })!;
const dynamic = (over: Tree = {}) => readDynamic('/dynamic.yml', { ...goodDynamic, ...over })!;
const postgresql = (over: Tree): Tree => ({ postgresql: { ...goodMember.postgresql, ...over } });
const good: Setups = {
  members: [],
  dynamic: dynamic(),
  routes: [],
  poolers: [],
  stores: [],
  units: [],
  version: [4, 0, 7],
  memberCount: 3,
};
const ids = (over: Partial<Setups>): readonly string[] => lintSetups({ ...good, ...over }).map(({ id }) => id);

const dynamicCases: Readonly<Record<(typeof dynamicRows)[number]['id'], Tree>> = {
  'setting-unreadable': { ttl: 'soon' },
  'timeouts-exceed-ttl': { retry_timeout: 10 },
  'guard-cannot-tell': { loop_wait: 10 },
  'failover-slower-than-target': { ttl: 30 },
  'ttl-raised-silently': { ttl: 12 },
  'crash-keeps-the-lead': { primary_start_timeout: 300 },
  'crash-loses-rows': { synchronous_mode: false },
  'old-leader-may-win': { check_timeline: null },
  'acknowledged-rows-unprotected': { synchronous_mode: 'off' },
  'writes-stop-without-standby': { synchronous_mode_strict: true },
  'store-outage-demotes': { failsafe_mode: false },
  'lag-limit-blocks-failover': { synchronous_mode: false, maximum_lag_on_failover: 0 },
  'lag-limit-loses-much': { synchronous_mode: false, maximum_lag_on_failover: 1_000_000_000 },
  'failover-left-off': { pause: true },
  'old-leader-not-rewound': { postgresql: {} },
  'replication-slots-off': { postgresql: { use_pg_rewind: true, use_slots: false } },
  'crash-safety-off': { postgresql: { use_pg_rewind: true, parameters: { fsync: false } } },
  'commits-not-awaited': { postgresql: { use_pg_rewind: true, parameters: { synchronous_commit: 'local' } } },
};

test.each(Object.entries(dynamicCases))('settings that all members share: %s', (id, over) => {
  expect(ids({ dynamic: dynamic(over) })).toContain(id);
});

const memberCases: Readonly<Record<(typeof memberRows)[number]['id'], Partial<Setups>>> = {
  'etcd3-loses-acknowledged-rows': { members: [member({ etcd3: { host: 'e1:2379' } })], version: [3, 0, 2] },
  'etcd3-with-unknown-patroni': { members: [member({ etcd3: { host: 'e1:2379' } })], version: null },
  'member-setting-unreadable': { members: [member({ restapi: 'all' })] },
  'member-without-name': { members: [member({ name: undefined })] },
  'member-name-taken': { members: [member(), member()] },
  'member-of-another-cluster': { members: [member(), member({ name: 'n2', scope: 'stock' })] },
  'data-removed-by-patroni': { members: [member(postgresql({ remove_data_directory_on_rewind_failure: 'yes' }))] },
  'data-on-volatile-volume': { members: [member(postgresql({ data_dir: '/dev/shm/pg' }))] },
  'data-directory-unset': { members: [member(postgresql({ data_dir: undefined }))] },
  'api-open-to-all': { members: [member({ restapi: { listen: '*:8008', connect_address: '10.0.0.1:8008' } })] },
  'address-of-loopback': { members: [member(postgresql({ connect_address: '127.0.0.1:5432' })), member({ name: 'n2' })] },
  'server-trusts-the-network': { members: [member(postgresql({ pg_hba: ['host all,replication all 0.0.0.0/0 trust'] }))] },
  'replication-not-admitted': { members: [member(postgresql({ pg_hba: ['host all all 10.0.0.0/24 scram-sha-256'] }))] },
  'rewind-impossible': { members: [member(postgresql({ parameters: { wal_log_hints: 'off' } }))] },
  'promotion-may-be-vetoed': { members: [member(postgresql({ pre_promote: '/usr/local/bin/ask' }))] },
  'watchdog-off': { members: [member({ watchdog: { mode: 'off' } })] },
  'store-of-one': { members: [member({ etcd: { host: 'e1:2379' } })] },
  'store-of-two': { members: [member({ etcd: { hosts: ['e1:2379', 'e2:2379'] } })] },
  'password-readable-by-all': { members: [member({}, true)] },
};

test.each(Object.entries(memberCases))('a member’s file: %s', (id, setups) => {
  expect(ids(setups)).toContain(id);
});

const route = (text: string): Partial<Setups> => ({ routes: readRoutes('/haproxy.cfg', text) });
const defaults =
  'defaults\n timeout check 1s\n default-server inter 1s fastinter 250ms fall 2 on-marked-down shutdown-sessions\n option httpchk\n';
const write = 'listen write\n http-check send meth GET uri /primary\n server n1 10.0.0.1:5432 check port 8008 # the first\n';
const routeCases: Readonly<Record<(typeof routeRows)[number]['id'], string>> = {
  'route-without-check': `${defaults}${write} server n2 10.0.0.2:5432`,
  'route-blind-to-role': 'listen write\n timeout check 1s\n server n1 10.0.0.1:5432 check',
  'route-keeps-sessions': `${defaults.replace('on-marked-down shutdown-sessions', '')}${write}`,
  'route-notices-late': `${defaults.replace('inter 1s fastinter 250ms fall 2', '')}${write}`,
  'route-check-unbounded': `${defaults.replace('timeout check 1s', '')}${write}`,
};

test.each(Object.entries(routeCases))('HAProxy: %s', (id, text) => {
  expect(ids(route(text))).toContain(id);
});

const pooler = (text: string): Partial<Setups> => ({
  poolers: [readPooler('/pgbouncer.ini', `[databases]\n* = host=a\n[pgbouncer]\n${text}`)],
});
const goodPooler =
  'listen_addr = 10.0.0.9\nserver_login_retry = 1\nignore_startup_parameters = extra_float_digits, options\nadmin_users = postgres\n';
const poolerCases: Readonly<Record<(typeof poolerRows)[number]['id'], string>> = {
  'pooler-trusts-the-network': `${goodPooler}auth_type = any`,
  'pooler-cannot-pause': `${goodPooler}admin_users =`,
  'pooler-retries-late': `${goodPooler}server_login_retry = 15`,
  'pooler-refuses-drivers': 'server_login_retry = 1',
};

test.each(Object.entries(poolerCases))('PgBouncer: %s', (id, text) => {
  expect(ids(pooler(text))).toContain(id);
});

const store = (over: Tree) => [readStore('/etcd.yml', { name: 'e1', 'data-dir': '/var/lib/etcd', 'enable-v2': true, ...over })!];
const storeCases: Readonly<Record<(typeof storeRows)[number]['id'], Partial<Setups>>> = {
  'store-speaks-no-v2': { members: [member()], stores: store({ 'enable-v2': undefined }) },
  'store-on-volatile-volume': { stores: store({ 'data-dir': '/tmp/etcd' }) },
  'store-open-to-all': { stores: store({ 'listen-client-urls': 'http://127.0.0.1:2379,http://10.0.0.1:2379' }) },
};

test.each(Object.entries(storeCases))('etcd: %s', (id, setups) => {
  expect(ids(setups)).toContain(id);
});

const unit = (text: string): Partial<Setups> => ({ units: [readUnit('/a.service', `[Unit]\n[Service]\n${text}\n`)] });
const unitCases: Readonly<Record<(typeof unitRows)[number]['id'], string>> = {
  'server-started-by-another': 'ExecStart=/usr/bin/pg_ctlcluster --skip-systemctl-redirect \\\n 15-main start',
  'patroni-stays-dead': 'ExecStart=/usr/bin/patroni /etc/patroni/config.yml',
  'patroni-stopped-too-soon': 'ExecStart=/usr/bin/patroni /etc/patroni.yml\nRestart=always\nTimeoutStopSec=5s',
};

test.each(Object.entries(unitCases))('systemd: %s', (id, text) => {
  expect(ids(unit(text))).toContain(id);
});

test('a setup as the guide describes it holds nothing dangerous', () => {
  const setups = {
    ...route(`${defaults}${write}listen read\n option httpchk GET /replica\n server n1 10.0.0.1:5432 check port 8008`),
    ...pooler(goodPooler),
    ...unit('ExecStart=/usr/bin/patroni /etc/patroni/config.yml\nRestart=on-failure\nTimeoutStopSec=60'),
    members: [member(), member({ name: 'n2' })],
    stores: store({ 'listen-client-urls': 'http://127.0.0.1:2379' }),
  };
  expect(ids(setups)).toEqual([]);
});

test('critical things come first, with the numbers in their words', () => {
  const [first, ...rest] = lintSetups({ ...good, dynamic: dynamic({ retry_timeout: 10, failsafe_mode: false }) });
  expect(first).toMatchObject({
    id: 'timeouts-exceed-ttl',
    file: '/dynamic.yml',
    words: expect.stringContaining('is 22 s, more than ttl (20 s)'),
  });
  expect(rest.map(({ severity }) => severity)).toEqual(['warning']);
});

test('a value that cannot be read hides no other, and 3.10 is later than 3.2', () => {
  expect(ids({ dynamic: dynamic({ ttl: 'soon', pause: true }) })).toEqual(
    expect.arrayContaining(['setting-unreadable', 'failover-left-off']),
  );
  expect(dynamicFacts(dynamic({ ttl: 10 }), { version: [3, 10, 0], members: 3 }).effectiveTtlSeconds).toBe(20);
  expect(dynamicFacts(dynamic({ ttl: 10 }), { version: [3, 0, 2], members: 3 }).effectiveTtlSeconds).toBe(10);
});
