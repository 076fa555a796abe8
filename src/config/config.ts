import * as v from 'valibot';
import { alertSettings } from '../alerts/settings.ts';
import { Secret } from '../kernel/secret.ts';
import { DURATION, SIZE } from '../kernel/units.ts';
import { copiesSettings } from './copies-settings.ts';
import { haSettings, patroniSettings } from './ha-settings.ts';
import { healthSettings, hookSettings } from './health-settings.ts';
import { monitorSettings } from './monitor-settings.ts';
import { engineProblems, pgbackrestSettings } from './pgbackrest-settings.ts';
import { drillKinds, scheduleSetting } from './schedules.ts';
import { walSettings } from './wal-settings.ts';

const text = v.pipe(v.string(), v.nonEmpty('must not be empty'));
const path = v.pipe(text, v.startsWith('/', 'must be an absolute path'));
const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const seconds = v.pipe(v.number(), v.minValue(0));
const size = v.pipe(v.string(), v.regex(SIZE, "expected a size like '512MB' or '1GB'"));
const duration = v.pipe(v.string(), v.regex(DURATION, 'expected a duration such as 12h, 30d or 8w'));
const quoted = 'must be a text; put it in quotes'; // Said instead of valibot's own words, which would repeat the value.
const secret = v.pipe(
  v.union([text, v.instance(Secret)], quoted),
  v.transform((value) => (value instanceof Secret ? value : new Secret(value))),
);
/** A program and its arguments, of which only the program must not be empty. No shell is involved. */
const command = v.pipe(
  v.array(v.string()),
  v.check(([program]) => !!program, 'needs a program and its arguments, as a list'),
);
const signalName = v.picklist(['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2']);
const onFail = v.picklist(['exit', 'hold', 'ignore']);

const restart = v.strictObject({
  policy: v.optional(v.picklist(['never', 'on-failure', 'always']), 'on-failure'),
  backoffSeconds: v.optional(seconds, 1),
  backoffMaxSeconds: v.optional(seconds, 30),
  max: v.optional(count, 5),
  windowSeconds: v.optional(seconds, 300),
});

/** The generic service: any long-lived command. */
export const processSettings = v.strictObject({
  command,
  env: v.optional(v.record(v.string(), v.string(quoted)), {}),
  user: v.optional(text),
  cwd: v.optional(path),
  dependsOn: v.optional(v.array(text), []),
  onFail: v.optional(onFail, 'ignore'),
  ready: v.optional(
    v.union(
      [
        v.strictObject({
          tcp: v.union([port, v.pipe(v.string(), v.regex(/^[^:]+:\d+$/, 'expected PORT or HOST:PORT'))], 'expected PORT or HOST:PORT'),
          timeoutSeconds: v.optional(seconds, 60),
        }),
        v.strictObject({ http: v.pipe(v.string(), v.url()), timeoutSeconds: v.optional(seconds, 60) }),
        v.strictObject({ command, timeoutSeconds: v.optional(seconds, 60) }),
        v.strictObject({ log: text, timeoutSeconds: v.optional(seconds, 60) }),
      ],
      'needs exactly one of tcp, http, command and log, and may have timeoutSeconds',
    ),
  ),
  stop: v.optional(v.strictObject({ signal: v.optional(signalName, 'SIGTERM'), timeoutSeconds: v.optional(seconds, 5) }), {}),
  restart: v.optional(restart, {}),
});
export type ProcessSettings = v.InferOutput<typeof processSettings>;

/** Names of libpq's require_auth, all with a ! before them or none. */
export const REQUIRE_AUTH =
  /^(?:|(?:(?:password|md5|gss|sspi|scram-sha-256|oauth|none)(?:,(?!$)|$))+|(?:!(?:password|md5|gss|sspi|scram-sha-256|oauth|none)(?:,(?!$)|$))+)$/;

/** PostgreSQL and the instance it serves. */
export const postgresqlSettings = v.strictObject({
  dataDir: v.optional(path, '/var/lib/postgresql-data'),
  socketDir: v.optional(path, '/var/run/postgresql'),
  port: v.optional(port, 5432),
  listenAddresses: v.optional(v.string(), 'localhost'),
  version: v.optional(v.pipe(v.number(), v.integer(), v.minValue(13), v.maxValue(18))),
  binDir: v.optional(path),
  /** The operating system's user for the server; default: the owner of the data, else postgres. */
  user: v.optional(text),
  /** The systemd unit that runs the server where dbkit does not supervise it; default: that of a cluster of Debian's. */
  unit: v.optional(text),
  superuser: v.optional(text, 'postgres'),
  superuserPassword: v.optional(secret),
  username: v.optional(text, 'dbuser'),
  password: v.optional(secret, 'password'),
  /** Default: the same as username. */
  database: v.optional(text),
  locale: v.optional(text),
  encoding: v.optional(text, 'UTF8'),
  initdbArgs: v.optional(v.string(), ''),
  walDir: v.optional(path),
  /** The rule for connections over TCP: the method written to pg_hba.conf for host lines. */
  hostAuthMethod: v.optional(text, 'scram-sha-256'),
  /** How connections over the local socket are authenticated. */
  localAuthMethod: v.optional(v.picklist(['trust', 'peer', 'scram-sha-256']), 'trust'),
  /** How the server may ask for a password over TCP; default: not in clear text, unless TLS proves whose it is. */
  requireAuth: v.optional(v.pipe(text, v.regex(REQUIRE_AUTH, 'is no list of methods'))),
  initScriptsDir: v.optional(path, '/docker-entrypoint-initdb.d'),
  /** Settings handed to the server on its command line, above every configuration file. */
  settings: v.optional(
    v.record(v.pipe(v.string(), v.regex(/^[a-z_][a-z0-9_.]*$/i, 'is not a setting name')), v.union([v.string(), v.number(), v.boolean()])),
    {},
  ),
  startAttempts: v.optional(v.pipe(count, v.minValue(1)), 3),
  startRetrySeconds: v.optional(seconds, 5),
  /** Counts from the server's last sign of progress, so a long crash recovery is never cut short. */
  maxStartupSeconds: v.optional(seconds, 60),
  /** Default: hold in a dev container or a terminal, exit with CI=true or --strict. */
  onFail: v.optional(v.picklist(['exit', 'hold'])),
  restart: v.optional(restart, {}),
});
/** Ways to TLS, as libpq names them (libpq, "SSL Support"). */
export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof sslModes)[number];

/** Of a server that `--url` or the environment names, and no file (instance/connection-only.ts). */
interface Reach {
  /** A connection is all that is at hand: nothing of its files. */
  readonly connectionOnly?: true;
  readonly sslMode?: SslMode | undefined;
  readonly sslRootCert?: string | undefined;
}
export type PostgresqlSettings = v.InferOutput<typeof postgresqlSettings> & Reach;

const retentionSettings = v.strictObject({
  /** How many of the newest good ones; default: maxBackups. */
  last: v.optional(v.pipe(count, v.minValue(1))),
  /** The last good one of each of so many days, weeks, months that have one; days by default as many as the tier keeps. */
  daily: v.optional(count),
  weekly: v.optional(count, 0),
  monthly: v.optional(count, 0),
  /** Beyond it nothing stays but the newest good one, pinned ones and the newest proven one. */
  maxAge: v.optional(duration),
  /** Replaced and damaged data that was set aside. */
  quarantine: v.optional(v.strictObject({ last: v.optional(v.pipe(count, v.minValue(1)), 3), minAge: v.optional(duration, '7d') }), {}),
});

const recoverySettings = v.strictObject({
  allow: v.optional(v.array(v.picklist(['repair', 'restore', 'reinitialize'])), ['repair', 'restore', 'reinitialize']),
  /** WAL that new instances keep for rolling forward from a backup, within what the volume can spare; '0MB' keeps none. */
  walKeep: v.optional(size, '1GB'),
  /** The circuit breaker: after this many replacements of the data within an hour a person must look. */
  maxReplacementsPerHour: v.optional(v.pipe(count, v.minValue(1)), 3),
  /** A program with its arguments: run once in a new cluster that took the place of another, empty or from a dump. */
  migrate: v.optional(v.pipe(v.array(text), v.minLength(1, 'needs a program'))),
  /** Lets pg_amcheck read every table and index once the server answers again; it makes the extension amcheck where it is missing. */
  amcheck: v.optional(v.boolean(), false),
  /** Lets a start upgrade data of an older major than POSTGRES_BIN_DIR or POSTGRES_VERSION names, where the old programs are here too. */
  upgrade: v.optional(v.picklist(['ask', 'auto']), 'ask'),
});

const maintenanceSettings = v.strictObject({
  /** How long a statement waits for a lock; others wait behind it meanwhile. */
  lockTimeoutSeconds: v.optional(v.pipe(seconds, v.minValue(0.1)), 5),
  /** How long a concurrent rebuild waits for transactions that are older than it; nobody waits behind it meanwhile. */
  rebuildWaitSeconds: v.optional(v.pipe(seconds, v.minValue(0.1)), 300),
  /** Logs of the server and of dbkit that are no longer written to. */
  logs: v.optional(v.strictObject({ maxAge: v.optional(duration, '30d'), maxSize: v.optional(size, '1GB') }), {}),
});

const backupSettings = v.strictObject({
  /** Takes and keeps base backups: dbkit itself, or pgBackRest with its own repository (`pgbackrest`). */
  engine: v.optional(v.picklist(['dbkit', 'pgbackrest']), 'dbkit'),
  afterStart: v.optional(v.boolean(), true),
  /** When the supervisor takes base backups, in UTC, when something has changed. Default: as the tier has it, at 02:00 where there is none. */
  schedule: v.optional(scheduleSetting),
  /** The bytes that a base backup reads in a second at most; default: as fast as it can. */
  rateLimit: v.optional(size),
  /** Every so many base backups one shares nothing with the earlier ones; 0: none has to, and with pgBackRest every seventh. */
  fullEvery: v.optional(count, 0),
  /** Of a large file that changed only pages are written, and earlier backups keep those that they had; off: it is copied whole. */
  pages: v.optional(v.boolean(), true),
  /** The smallest file that is large: below it an earlier backup stays a plain directory, which is worth more than the bytes. */
  pagesFrom: v.optional(size, '32MB'),
});

const isMember = (value: unknown): boolean => typeof value === 'object' && value !== null && 'config' in value;

const settings = v.strictObject({
  stateDir: v.optional(path, '/var/lib/dbkit'),
  logDir: v.optional(path, '/var/log/postgresql'),
  backupDir: v.optional(path, '/var/lib/postgresql-backup'),
  /** Its targets judge each recovery (`recover report`); default: nothing is judged. */
  tier: v.optional(v.picklist(['critical', 'high', 'standard', 'archive'])),
  maxBackups: v.optional(v.pipe(count, v.minValue(1)), 7),
  /** Which backups are kept; every rule keeps its own, and the newest good one always stays. */
  retention: v.optional(retentionSettings, {}),

  /** Folder of init-* executables (run on every start) and JavaScript plugins. */
  servicesDir: v.optional(path, '/etc/dbkit/services.d'),
  disabledServices: v.optional(v.array(text), ['mongodb']),
  /** The whole stop, CMD included, fits this; a container's own kill comes after 10 s by default. */
  stopSeconds: v.optional(v.pipe(v.number(), v.minValue(1)), 8),
  postgresql: v.optional(postgresqlSettings, {}),
  /** `patroni`, where it names a file of Patroni, is a member of a cluster and takes PostgreSQL's place. */
  services: v.optional(
    v.pipe(
      v.record(
        v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]*$/, 'is not a service name (a-z, 0-9, -)')),
        v.lazy((value) => (isMember(value) ? patroniSettings : processSettings)),
      ),
      v.check(
        (services) =>
          Object.entries(services).every(([name, settings]) => name === 'patroni' || ('command' in settings && !('config' in settings))),
        "only 'patroni' is run from a file of Patroni (config)",
      ),
    ),
    {},
  ),
  recovery: v.optional(recoverySettings, {}),

  drill: v.optional(
    v.strictObject({
      /** When the supervisor rehearses `drill.kinds`, in UTC. Default: never. */
      schedule: v.optional(scheduleSetting),
      kinds: v.optional(v.pipe(v.array(v.picklist(drillKinds)), v.minLength(1, 'needs a kind of drill')), ['total-loss']),
      /** Queries whose first column must be true in a restored copy; on the application's database where none is named. */
      assertions: v.optional(v.array(v.strictObject({ sql: text, name: v.optional(text), database: v.optional(text) })), []),
    }),
    {},
  ),
  backup: v.optional(backupSettings, {}),
  pgbackrest: v.optional(pgbackrestSettings, {}),
  copies: v.optional(copiesSettings, {}),
  wal: v.optional(walSettings, {}),

  maintenance: v.optional(maintenanceSettings, {}),

  health: v.optional(healthSettings, {}),
  hooks: v.optional(hookSettings, {}),
  monitor: v.optional(monitorSettings, {}),
  ha: v.optional(haSettings, {}),
  alerts: v.optional(alertSettings, {}),
});

export const configSchema = v.pipe(
  settings,
  v.rawCheck(({ dataset, addIssue }) => {
    if (dataset.typed) for (const problem of engineProblems(dataset.value)) addIssue(problem);
  }),
);

export type Config = Omit<v.InferOutput<typeof configSchema>, 'postgresql'> & { readonly postgresql: PostgresqlSettings };
export type ConfigInput = v.InferInput<typeof configSchema>;
