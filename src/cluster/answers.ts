import * as v from 'valibot';

/** A member's role in the words of one version: Patroni 3 says master, 4 primary. */
export const roles = ['leader', 'standby-leader', 'synchronous', 'quorum', 'replica', 'unknown'] as const;
export type Role = (typeof roles)[number];

const roleOf: Readonly<Record<string, Role>> = {
  leader: 'leader',
  standby_leader: 'standby-leader',
  sync_standby: 'synchronous',
  quorum_standby: 'quorum',
  replica: 'replica',
};

const number = v.fallback(v.nullable(v.number()), null); // `lag` may be the word "unknown".
const memberAnswer = v.looseObject({
  name: v.string(),
  role: v.string(),
  state: v.fallback(v.string(), 'unknown'),
  host: v.optional(v.string()),
  port: v.optional(v.number()),
  timeline: v.optional(number, null),
  lag: v.optional(number, null),
  tags: v.optional(v.record(v.string(), v.unknown()), {}),
  pending_restart: v.optional(v.boolean(), false),
});
const clusterAnswer = v.looseObject({
  members: v.array(memberAnswer),
  pause: v.optional(v.boolean(), false),
  scheduled_switchover: v.optional(v.looseObject({ at: v.string(), from: v.optional(v.string()), to: v.optional(v.string()) })),
});

/** A member in `GET /cluster`. */
export interface MemberView {
  readonly name: string;
  readonly role: Role;
  /** Patroni's word; a replica that streams is `running` in every version. */
  readonly state: string;
  readonly host: string | null;
  readonly port: number | null;
  readonly timeline: number | null;
  /** Behind what the leader last wrote down; in bytes. */
  readonly lagBytes: number | null;
  readonly isNeverLeader: boolean;
  readonly needsRestart: boolean;
}

export interface ClusterView {
  readonly members: readonly MemberView[];
  readonly isPaused: boolean;
  readonly scheduledSwitchover: { readonly at: string; readonly to: string | null } | null;
}

/** `GET /cluster` of Patroni 3 and 4; undefined for anything else. */
export function readCluster(json: unknown): ClusterView | undefined {
  const { success, output } = v.safeParse(clusterAnswer, json);
  if (!success) return undefined;
  const { scheduled_switchover: planned } = output;
  return {
    isPaused: output.pause,
    scheduledSwitchover: planned === undefined ? null : { at: planned.at, to: planned.to ?? null },
    members: output.members.map(({ name, role, state, host, port, timeline, lag, tags, pending_restart }) => ({
      name,
      role: roleOf[role] ?? 'unknown',
      state: state === 'streaming' ? 'running' : state,
      host: host ?? null,
      port: port ?? null,
      timeline,
      lagBytes: lag,
      isNeverLeader: tags['nofailover'] === true || tags['failover_priority'] === 0,
      needsRestart: pending_restart,
    })),
  };
}

const patroniAnswer = v.looseObject({
  state: v.string(),
  role: v.string(),
  postmaster_start_time: v.optional(v.nullable(v.string()), null),
  dcs_last_seen: v.optional(v.number()),
  database_system_identifier: v.optional(v.string()),
  pause: v.optional(v.boolean(), false),
  failsafe_mode_is_active: v.optional(v.boolean(), false),
  watchdog_failed: v.optional(v.boolean(), false),
  patroni: v.looseObject({ version: v.string(), scope: v.string() }),
});

/** One member about itself. */
export interface PatroniView {
  readonly version: string;
  readonly scope: string;
  readonly isPrimary: boolean;
  readonly state: string;
  readonly startedAt: string | null;
  /** When it last saw the store of agreement, by its own clock; null where it does not say. */
  readonly dcsSeenAt: Date | null;
  readonly systemIdentifier: string | null;
  readonly isPaused: boolean;
  readonly isFailsafe: boolean;
  readonly isWatchdogUnusable: boolean;
}

/** `GET /patroni` of Patroni 3 and 4; undefined for anything else. */
export function readPatroni(json: unknown): PatroniView | undefined {
  const { success, output } = v.safeParse(patroniAnswer, json);
  if (!success) return undefined;
  return {
    version: output.patroni.version,
    scope: output.patroni.scope,
    isPrimary: output.role === 'master' || output.role === 'primary',
    state: output.state === 'streaming' ? 'running' : output.state,
    startedAt: output.postmaster_start_time,
    dcsSeenAt: output.dcs_last_seen === undefined ? null : dateOf(output.dcs_last_seen * 1000),
    systemIdentifier: output.database_system_identifier ?? null,
    isPaused: output.pause,
    isFailsafe: output.failsafe_mode_is_active,
    isWatchdogUnusable: output.watchdog_failed,
  };
}

const mode = v.optional(
  v.union([
    v.boolean(),
    v.literal('quorum'),
    v.pipe(
      v.string(),
      v.transform((word) => /^(on|true|yes)$/i.test(word)),
    ),
  ]),
  false,
);
const flag = v.optional(v.boolean(), false);

/** dbkit's own key beside Patroni's `pause`: until when. Patroni keeps what it does not know, and every dbkit finds it there. */
export const PAUSE_UNTIL = 'dbkit_pause_until';

const configAnswer = v.looseObject({
  ttl: v.optional(v.number(), 30),
  loop_wait: v.optional(v.number(), 10),
  retry_timeout: v.optional(v.number(), 10),
  maximum_lag_on_failover: v.optional(v.number(), 1_048_576),
  check_timeline: flag,
  synchronous_mode: mode,
  failsafe_mode: flag,
  pause: v.fallback(v.nullable(v.boolean()), null),
  [PAUSE_UNTIL]: v.fallback(v.nullable(v.pipe(v.string(), v.isoTimestamp())), null),
});

/** The dynamic configuration, with Patroni's defaults where it says nothing ("Dynamic Configuration Settings" of its documentation). */
export interface DynamicSettings {
  readonly ttlSeconds: number;
  readonly loopWaitSeconds: number;
  readonly retryTimeoutSeconds: number;
  readonly maximumLagBytes: number;
  readonly checksTimeline: boolean;
  readonly isSynchronous: boolean;
  readonly isFailsafeOn: boolean;
  /** Automatic failover is off, as far as the store says; a member sees it a round later. */
  readonly isPaused: boolean;
  /** Until when somebody has paused it by `dbkit ha pause --for`; null: nobody has. */
  readonly pauseUntil: string | null;
}

/** `GET /config`; undefined for anything else. */
export function readSettings(json: unknown): DynamicSettings | undefined {
  const { success, output } = v.safeParse(configAnswer, json);
  if (!success) return undefined;
  return {
    ttlSeconds: output.ttl,
    loopWaitSeconds: output.loop_wait,
    retryTimeoutSeconds: output.retry_timeout,
    maximumLagBytes: output.maximum_lag_on_failover,
    checksTimeline: output.check_timeline,
    isSynchronous: output.synchronous_mode !== false,
    isFailsafeOn: output.failsafe_mode,
    isPaused: output.pause === true,
    pauseUntil: output[PAUSE_UNTIL] ?? null,
  };
}

/** A change of timeline. */
export interface TimelineChange {
  readonly timeline: number;
  /** The last byte of that timeline, as a number. */
  readonly endedAt: number;
  readonly reason: string;
  /** When the next one began; null where Patroni does not know. */
  readonly at: string | null;
  readonly newLeader: string | null;
}

/** `GET /history`: [timeline, LSN, reason, time, leader], the last two of them missing in older entries; undefined for anything else. */
export function readHistory(json: unknown): readonly TimelineChange[] | undefined {
  const entry = v.looseTuple([v.number(), v.number(), v.string()]);
  const { success, output } = v.safeParse(v.array(entry), json);
  if (!success) return undefined;
  const word = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  const moment = (value: unknown): string | null => (typeof value === 'string' && dateOf(value) !== null ? value : null);
  return output.map(([timeline, endedAt, reason, at, leader]) => ({ timeline, endedAt, reason, at: moment(at), newLeader: word(leader) }));
}

/** null: it is no moment, whoever says so. */
function dateOf(said: string | number): Date | null {
  const at = new Date(said);
  return Number.isNaN(at.getTime()) ? null : at;
}
