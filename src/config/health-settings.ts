import * as v from 'valibot';
import { probeNames } from './probe-names.ts';

const text = v.pipe(v.string(), v.nonEmpty('must not be empty'));
const amount = v.pipe(v.number(), v.minValue(0));
const percent = v.pipe(amount, v.maxValue(100));

const ownName = v.pipe(
  v.string(),
  v.regex(/^[a-z][a-z0-9-]*$/, 'is not a probe name (a-z, 0-9, -)'),
  v.check((name) => !probeNames.some((known) => known === name), 'is the name of one of dbkit’s own probes'),
);

/** A warning that comes after the critical would never be seen. */
const ordered = <T extends { readonly warning: number; readonly critical: number }>() =>
  v.check<T, string>(({ warning, critical }) => warning <= critical, 'warning must not be above critical');
const levels = (unit: typeof amount | typeof percent, warning: number, critical: number) =>
  v.optional(v.pipe(v.strictObject({ warning: v.optional(unit, warning), critical: v.optional(unit, critical) }), ordered()), {});

/** A question of the user's own: SQL whose first column must be true (or name a status), or a command in the Nagios dialect. */
const userProbe = v.union(
  [
    v.strictObject({
      /** Asked as the application's role in its database, in a transaction that may not write. */
      sql: text,
      timeoutSeconds: v.optional(amount),
      /** The meaning of an answer other than true. */
      failure: v.optional(v.picklist(['warning', 'critical']), 'critical'),
    }),
    v.strictObject({
      /** Exit status 0 ok, 1 warning, 2 critical, else unknown; the first line of its output is the summary. No shell is involved. */
      command: v.pipe(
        v.array(v.string()),
        v.check(([program]) => !!program, 'needs a program and its arguments, as a list'),
      ),
      timeoutSeconds: v.optional(amount),
    }),
  ],
  'needs exactly one of sql and command, and may have timeoutSeconds',
);
export type UserProbe = v.InferOutput<typeof userProbe>;

/** The thresholds. Every threshold is a pair: from `warning` on a person should look, from `critical` on something is broken. */
const settings = v.strictObject({
  /** Probes that are never asked. */
  disabled: v.optional(v.array(text), []),
  /** Patience with a session, and again with each question. */
  timeoutSeconds: v.optional(v.pipe(v.number(), v.minValue(0.1)), 5),
  /** Seconds for one query. */
  latency: levels(amount, 1, 5),
  /** Percent of a volume. */
  disk: levels(percent, 80, 90),
  /** A volume that will be full within this time, as its recent growth has it, is a warning. */
  diskFullWithinHours: v.optional(amount, 4),
  /** Percent of the connections that ordinary roles may use. */
  connections: levels(percent, 80, 95),
  /** Seconds a query may run, a transaction may idle, a session may wait for another’s lock. */
  longQueries: levels(amount, 300, 86_400),
  idleInTransaction: levels(amount, 300, 86_400),
  blocked: levels(amount, 30, 300),
  /** pg_wal as a multiple of max_wal_size. */
  walGrowth: levels(amount, 2, 4),
  /** Seconds that a finished WAL segment may wait to be archived. */
  archiveDelay: levels(amount, 300, 3600),
  /** WAL that a replication slot keeps, as a multiple of max_wal_size. */
  slotRetention: levels(amount, 1, 4),
  /** Seconds a replica, or this standby, may be behind. */
  replicationLag: levels(amount, 30, 300),
  /** Percent of the two thousand million transaction ids between the oldest one in use and the end. */
  wraparound: levels(percent, 50, 75),
  /** Hours since the newest good backup. */
  backupAge: levels(amount, 48, 168),
  /** Hours since the newest backup that is verified in a copy elsewhere. */
  copyAge: levels(amount, 48, 168),
  /** Where the server logs, when that is not LOG_DIR/postgresql.log. */
  logFile: v.optional(v.pipe(text, v.startsWith('/', 'must be an absolute path'))),
  /** How long a word of corruption in the log is told again after it was first seen. */
  logRememberSeconds: v.optional(amount, 600),
  /** SQL, asked as the application's role, that must answer true: the schema is what the code expects. */
  migrations: v.optional(text),
  /** Questions of your own, by name. */
  probes: v.optional(v.record(ownName, userProbe), {}),
});
export const healthSettings = v.pipe(
  settings,
  v.check(
    ({ disabled, probes }) => disabled.every((name) => probeNames.some((known) => known === name) || Object.hasOwn(probes, name)),
    'disabled names a probe that there is not',
  ),
);
export type HealthSettings = v.InferOutput<typeof healthSettings>;
/** From `warning` on, from `critical` on; in the unit of the setting. */
export type Levels = HealthSettings['disk'];

/** The check before a commit. */
export const hookSettings = v.strictObject({
  /** The behaviour of the hook while no database is running: say so and let the commit pass, stop it, or say nothing. */
  whenDown: v.optional(v.picklist(['warn', 'fail', 'skip']), 'warn'),
  /** True if warnings stop a commit too. */
  strict: v.optional(v.boolean(), true),
  /** Only these probes, and the connection; none: all that are not disabled. */
  probes: v.optional(v.array(text), []),
});
