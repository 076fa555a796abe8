import { sqlStateOf } from '../instance/connection.ts';
import { openForServer, type ServerAddress } from '../instance/sessions.ts';
import { within } from '../kernel/deadline.ts';
import { DbkitError, errnoOf, wordsOf } from '../kernel/errors.ts';
import type { Place } from './members.ts';

/** A server about itself; the only ones who know for certain who takes writes. */
export interface ServerView {
  readonly isWritable: boolean;
  /** A standby without a receiver tells only what it has written out: it may be further. */
  readonly timeline: number;
  readonly isTimelineCertain: boolean;
  /** The end of its WAL as a number: what it wrote, or has received. */
  readonly walAt: number;
  /** How much of it is in its data: all, but on a standby. */
  readonly replayedAt: number;
  /** The timeline of its last checkpoint or restartpoint, from which a base backup would begin. */
  readonly checkpointTimeline: number;
  /** A standby whose WAL receiver is connected and streams. */
  readonly isStreaming: boolean;
  readonly systemIdentifier: string;
  /** When its postmaster started, to the microsecond: no two servers have the same. */
  readonly startedAt: string;
  /** pg_rewind needs data checksums or wal_log_hints. */
  readonly canBeRewound: boolean;
}

/** A session that could not be had: 'refused' is an answer of a server that lives, 'starting' one that will, 'silent' none at all. */
export interface ServerTrouble {
  readonly kind: 'refused' | 'starting' | 'silent';
  readonly words: string;
}

/** The role as which the members' servers are asked. */
export type Login = Pick<ServerAddress, 'superuser' | 'superuserPassword' | 'requireAuth'>;

const LIMIT_MS = 2_000;

const FACTS = `select not pg_is_in_recovery() as writable, system_identifier::text as system_identifier,
  case when pg_is_in_recovery()
    then coalesce((select received_tli from pg_stat_wal_receiver), greatest((select timeline_id from pg_control_checkpoint()), (select min_recovery_end_timeline from pg_control_recovery())))
    else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
  not pg_is_in_recovery() or exists (select from pg_stat_wal_receiver where received_tli is not null) as timeline_certain,
  pg_wal_lsn_diff(case when pg_is_in_recovery()
    then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) else pg_current_wal_lsn() end, '0/0')::text as wal_at,
  pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, '0/0')::text as replayed_at,
  (select timeline_id from pg_control_checkpoint()) as checkpoint_timeline,
  coalesce((select status = 'streaming' from pg_stat_wal_receiver), false) as streaming,
  (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint::text as started_at,
  current_setting('data_checksums') = 'on' or current_setting('wal_log_hints') = 'on' as rewindable
  from pg_control_system()`;

interface Row {
  readonly writable: boolean;
  readonly system_identifier: string;
  readonly timeline: number;
  readonly timeline_certain: boolean;
  readonly wal_at: string;
  readonly replayed_at: string;
  readonly checkpoint_timeline: number;
  readonly streaming: boolean;
  readonly started_at: string;
  readonly rewindable: boolean;
}

/** Never rejects but for the signal. */
export async function askServer(place: Place, login: Login, signal: AbortSignal): Promise<ServerView | ServerTrouble> {
  const address = { ...login, socketDir: place.host, port: place.port };
  try {
    return await within([signal], LIMIT_MS, async (bounded) => {
      const session = await openForServer(address, { connectTimeoutMs: 2 * LIMIT_MS, statementTimeoutMs: LIMIT_MS }, bounded);
      try {
        return viewOf((await session.query<Row>(FACTS))[0]!);
      } finally {
        void session.end();
      }
    });
  } catch (cause) {
    signal.throwIfAborted();
    return { kind: kindOf(cause, login), words: wordsOf(cause).split('\n')[0]! };
  }
}

export const isTrouble = (view: ServerView | ServerTrouble): view is ServerTrouble => 'kind' in view;

const viewOf = (row: Row): ServerView => ({
  isWritable: row.writable,
  timeline: row.timeline,
  isTimelineCertain: row.timeline_certain,
  walAt: Number(row.wal_at),
  replayedAt: Number(row.replayed_at),
  checkpointTimeline: row.checkpoint_timeline,
  isStreaming: row.streaming,
  systemIdentifier: row.system_identifier,
  startedAt: row.started_at,
  canBeRewound: row.rewindable,
});

/** cannot_connect_now; whatever else a server says is an answer of one that lives (appendix A of PostgreSQL's documentation). */
const CANNOT_CONNECT_NOW = '57P03';

function kindOf(cause: unknown, { superuserPassword }: Login): ServerTrouble['kind'] {
  const sqlState = sqlStateOf(cause);
  if (sqlState !== undefined) return sqlState === CANNOT_CONNECT_NOW ? 'starting' : 'refused';
  if (cause instanceof DbkitError && cause.code === 'recovery.refused') return 'refused'; // It asks, and dbkit does not answer.
  return superuserPassword === undefined && !isSilence(cause) ? 'refused' : 'silent'; // The driver itself gives up where a password is asked for and there is none.
}

/** Time that is over, or an error of the network; looked for along the chain of causes. */
function isSilence(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  return cause.name === 'TimeoutError' || (!(cause instanceof DbkitError) && errnoOf(cause) !== undefined) || isSilence(cause.cause);
}
