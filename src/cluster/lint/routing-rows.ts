import type { Finds } from '../finding.ts';
import { hostOf, isLoopback } from './patroni-setup.ts';
import { leadsToLeader, type PoolerSetup, type RouteSetup, type UnitSetup } from './routing-setup.ts';

const NOTICED_MS_MAX = 3_000;

/** Every row that matches is a danger in a section of haproxy.cfg. */
export const routeRows = [
  {
    id: 'route-without-check',
    when: ({ servers }) => servers.some(({ isChecked }) => !isChecked),
    then: 'critical',
    words: 'section {section} does not check {unchecked}: clients are led to a server that is gone',
    next: 'add `check port 8008` (the port of Patroni’s REST API) to the line',
  },
  {
    id: 'route-blind-to-role',
    when: (route) => leadsToLeader(route) && (route.asks === null || route.asks === '/'),
    then: 'critical',
    words: 'section {section} does not ask Patroni who leads, so writes reach replicas',
    next: 'add `option httpchk` and `http-check send meth GET uri /primary`',
  },
  {
    id: 'route-keeps-sessions',
    when: (route) => leadsToLeader(route) && route.servers.some(({ isChecked, endsSessions }) => isChecked && !endsSessions),
    then: 'warning',
    words: 'section {section} keeps the sessions of a server that leads no more',
    next: 'add `on-marked-down shutdown-sessions` to default-server',
  },
  {
    id: 'route-notices-late',
    when: (route) => leadsToLeader(route) && route.servers.some(({ noticedMs }) => noticedMs > NOTICED_MS_MAX),
    then: 'warning',
    words: 'section {section} notices another leader only after {noticed} s, and clients wait so long more',
    next: 'set `default-server inter 1s fastinter 250ms downinter 250ms fall 2 rise 1`',
  },
  {
    id: 'route-check-unbounded',
    when: (route) => leadsToLeader(route) && !route.hasCheckTimeout,
    then: 'warning',
    words: 'section {section} has no `timeout check`: a Patroni that hangs is noticed late',
    next: 'set `timeout check 1s`',
  },
] as const satisfies readonly Finds<[RouteSetup]>[];

export const routeWords = ({ section, servers }: RouteSetup): Readonly<Record<string, unknown>> => ({
  section,
  unchecked: servers
    .filter(({ isChecked }) => !isChecked)
    .map(({ name }) => name)
    .join(', '),
  noticed: Math.max(...servers.map(({ noticedMs }) => noticedMs)) / 1000,
});

const listed = ({ settings }: PoolerSetup, name: string): readonly string[] => (settings[name] ?? '').split(',').map((one) => one.trim());
const listensOutside = ({ settings }: PoolerSetup): boolean =>
  (settings['listen_addr'] ?? '').split(',').some((host) => host.trim() !== '' && !isLoopback(hostOf(host)));

/** Every row that matches is a danger in pgbouncer.ini. */
export const poolerRows = [
  {
    id: 'pooler-trusts-the-network',
    when: (pooler) => listensOutside(pooler) && /^(any|trust)$/.test(pooler.settings['auth_type'] ?? ''),
    then: 'critical',
    words: 'PgBouncer lets other machines in without a password (auth_type {auth})',
    next: 'set auth_type scram-sha-256',
  },
  {
    id: 'pooler-cannot-pause',
    when: (pooler) => listed(pooler, 'admin_users').every((user) => user === ''),
    then: 'warning',
    words: 'PgBouncer has no admin_users, so a switchover cannot let its clients wait: they see errors',
    next: 'set admin_users to the user as whom dbkit comes',
  },
  {
    id: 'pooler-retries-late',
    when: ({ settings }) => Number(settings['server_login_retry'] ?? 15) > 1,
    then: 'warning',
    words: 'PgBouncer tries a server again only after {retry} s: clients wait so long more after a failover',
    next: 'set server_login_retry 1',
  },
  {
    id: 'pooler-refuses-drivers',
    when: (pooler) => !listed(pooler, 'ignore_startup_parameters').includes('extra_float_digits'),
    then: 'warning',
    words: 'PgBouncer refuses drivers that set extra_float_digits, JDBC’s among them',
    next: 'set ignore_startup_parameters = extra_float_digits,options',
  },
] as const satisfies readonly Finds<[PoolerSetup]>[];

export const poolerWords = ({ settings }: PoolerSetup): Readonly<Record<string, unknown>> => ({
  auth: settings['auth_type'],
  retry: settings['server_login_retry'] ?? 15,
});

const runsPatroni = ({ execStart }: UnitSetup): boolean => /(^|[\s/])(patroni|dbkit entrypoint)(\s|$)/.test(execStart);
const startsServer = ({ execStart }: UnitSetup): boolean => /(^|[\s/])(postgres|postmaster|pg_ctl|pg_ctlcluster)\s/.test(`${execStart} `);

/** Every row that matches is a danger in a unit of systemd. */
export const unitRows = [
  {
    id: 'server-started-by-another',
    when: (unit) => !runsPatroni(unit) && startsServer(unit),
    then: 'critical',
    words: 'this unit starts PostgreSQL, and only Patroni may: an old leader that is started so takes writes that are lost',
    next: 'disable it: `systemctl disable --now UNIT`; for Debian’s clusters write `manual` into start.conf',
  },
  {
    id: 'patroni-stays-dead',
    when: (unit) => runsPatroni(unit) && !/^(always|on-failure|on-abnormal|on-abort)$/.test(unit.restart),
    then: 'warning',
    words: 'a Patroni that was killed is not started again, and its server stays writable beside the next leader',
    next: 'set Restart=on-failure and RestartSec=1',
  },
  {
    id: 'patroni-stopped-too-soon',
    when: (unit) => runsPatroni(unit) && unit.stopSeconds !== null && unit.stopSeconds < 10,
    then: 'warning',
    words: 'systemd kills Patroni {stop} s after it asked it to stop, before its server has stopped',
    next: 'set TimeoutStopSec=60 or more',
  },
] as const satisfies readonly Finds<[UnitSetup]>[];

export const unitWords = ({ stopSeconds }: UnitSetup): Readonly<Record<string, unknown>> => ({ stop: stopSeconds });
