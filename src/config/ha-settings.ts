import * as v from 'valibot';
import { secret, text } from '../alerts/channel.ts';
import { DURATION, sizeBytes } from '../kernel/units.ts';
import type { Config } from './config.ts';

const url = v.pipe(v.string(), v.regex(/^https?:\/\/[^/?#]+\/?$/, 'must be a URL without a path, such as http://10.0.0.1:8008'));
const hostAndPort = v.pipe(v.string(), v.regex(/^(\[[0-9a-fA-F:]+\]|[^:/\s]+):\d{1,5}$/, 'expected HOST:PORT'));

const wholeSeconds = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(3_600));

/** The Patroni cluster that `dbkit ha` asks. dbkit elects and promotes nobody: it asks Patroni to. */
export const haSettings = v.strictObject({
  /** Each member by its name in Patroni: where its REST API is, and where its PostgreSQL is if that is not the same host and postgresql.port. */
  members: v.optional(
    v.record(
      v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'is not a name of a member')),
      v.strictObject({ api: url, server: v.optional(hostAndPort) }),
    ),
    {},
  ),
  /** The cluster's name in etcd (Patroni's scope). */
  scope: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'is not a name of a cluster')), 'dbkit'),
  /** False: Patroni is paused from the beginning, and a leader that crashes stays down. */
  autoFailover: v.optional(v.boolean(), true),
  /** How often Patroni looks (loop_wait). */
  checkIntervalSeconds: v.optional(wholeSeconds, 2),
  /** A leader that says nothing for so long is replaced (ttl). */
  failoverTimeoutSeconds: v.optional(wholeSeconds, 20),
  /** A replica that is further behind is not promoted (maximum_lag_on_failover). */
  maxReplicationLag: v.optional(
    v.pipe(v.string(), v.regex(/^\d+(\.\d+)?(kB|MB|GB|TB)$|^\d+$/, "expected a size like '1MB', or bytes")),
    '1MB',
  ),
  /** Which member takes the base backups that the schedule wants. */
  backupFrom: v.optional(v.picklist(['prefer-replica', 'leader', 'every']), 'prefer-replica'),
  /** The machines with an etcd; default: those of the first three members, or of the only one. */
  etcd: v.optional(v.array(v.pipe(v.string(), v.regex(/^(\[[0-9a-fA-F:]+\]|[^:/\s]+):\d{1,5}$/, 'expected HOST:PORT')))),
  /** Where applications write: HAProxy, a virtual address, or a service of Kubernetes. */
  writeAddress: v.optional(hostAndPort),
  /** PgBouncer, whose admin console takes PAUSE and RESUME. */
  pooler: v.optional(hostAndPort),
  /** The name for Patroni's REST API where it asks for one (restapi.authentication). */
  apiUsername: v.optional(text),
  /** Its password: where it is. */
  apiPassword: v.optional(secret),
  /** People for a runbook, each with the time after the alert at which it is this one's turn. */
  contacts: v.optional(
    v.array(
      v.strictObject({
        name: text,
        /** A telephone number, a channel, an address. */
        reach: text,
        after: v.optional(v.pipe(v.string(), v.regex(DURATION, 'expected a duration such as 0m, 15m or 1h')), '0m'),
      }),
    ),
    [],
  ),
});
export type HaSettings = v.InferOutput<typeof haSettings>;
export type BackupFrom = HaSettings['backupFrom'];

export const maxLagBytes = ({ maxReplicationLag: text }: Pick<HaSettings, 'maxReplicationLag'>): number =>
  /^\d+$/.test(text) ? Number(text) : Math.round(sizeBytes(text));

/** A member of the cluster that the entrypoint runs on this machine, in PostgreSQL's place. */
export const patroniSettings = v.strictObject({
  /** patroni.yml. */
  config: v.pipe(v.string(), v.startsWith('/', 'must be an absolute path')),
  command: v.optional(
    v.pipe(
      v.array(v.string()),
      v.check(([program]) => !!program, 'needs a program and its arguments, as a list'),
    ),
    ['patroni'],
  ),
  /** Ends a Patroni that hangs, and the server where another member may lead soon. */
  guard: v.optional(v.boolean(), true),
  onFail: v.optional(v.picklist(['exit', 'hold'])),
});
export type PatroniSettings = v.InferOutput<typeof patroniSettings>;

/** The member of a cluster that this machine runs; undefined: PostgreSQL is run by dbkit itself. */
export function memberSettings({ services, disabledServices }: Pick<Config, 'services' | 'disabledServices'>): PatroniSettings | undefined {
  const { patroni } = services;
  return patroni !== undefined && 'config' in patroni && !disabledServices.includes('patroni') ? patroni : undefined;
}
