import { sqlStateOf } from '../instance/connection.ts';
import { openForServer, type ServerAddress } from '../instance/sessions.ts';
import { within } from '../kernel/deadline.ts';
import { wordsOf } from '../kernel/errors.ts';
import type { Place } from './members.ts';

/** A server about itself; the only ones who know for certain who takes writes. */
export interface ServerView {
  readonly isWritable: boolean;
  readonly timeline: number;
  /** The end of its WAL as a number: what it wrote, or has received. */
  readonly walAt: number;
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
export type Login = Pick<ServerAddress, 'superuser' | 'superuserPassword'>;

const LIMIT_MS = 2_000;

const FACTS = `select not pg_is_in_recovery() as writable, system_identifier::text as system_identifier,
  case when pg_is_in_recovery()
    then coalesce((select received_tli from pg_stat_wal_receiver), (select timeline_id from pg_control_checkpoint()))
    else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
  pg_wal_lsn_diff(case when pg_is_in_recovery()
    then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) else pg_current_wal_lsn() end, '0/0')::text as wal_at,
  coalesce((select status = 'streaming' from pg_stat_wal_receiver), false) as streaming,
  (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint::text as started_at,
  current_setting('data_checksums') = 'on' or current_setting('wal_log_hints') = 'on' as rewindable
  from pg_control_system()`;

interface Row {
  readonly writable: boolean;
  readonly system_identifier: string;
  readonly timeline: number;
  readonly wal_at: string;
  readonly streaming: boolean;
  readonly started_at: string;
  readonly rewindable: boolean;
}

/** Never rejects but for the signal. */
export async function askServer(place: Place, login: Login, signal: AbortSignal): Promise<ServerView | ServerTrouble> {
  const address = { ...login, socketDir: place.host, port: place.port };
  try {
    return await within([signal], LIMIT_MS, async (bounded) => {
      const session = await openForServer(address, { connectTimeoutMs: LIMIT_MS, statementTimeoutMs: LIMIT_MS }, bounded);
      try {
        return viewOf((await session.query<Row>(FACTS))[0]!);
      } finally {
        void session.end();
      }
    });
  } catch (cause) {
    signal.throwIfAborted();
    return { kind: kindOf(sqlStateOf(cause)), words: wordsOf(cause).split('\n')[0]! };
  }
}

export const isTrouble = (view: ServerView | ServerTrouble): view is ServerTrouble => 'kind' in view;

const viewOf = (row: Row): ServerView => ({
  isWritable: row.writable,
  timeline: row.timeline,
  walAt: Number(row.wal_at),
  isStreaming: row.streaming,
  systemIdentifier: row.system_identifier,
  startedAt: row.started_at,
  canBeRewound: row.rewindable,
});

/** cannot_connect_now; whatever else a server says is an answer of one that lives (appendix A of PostgreSQL's documentation). */
const CANNOT_CONNECT_NOW = '57P03';
const kindOf = (sqlState: string | undefined): ServerTrouble['kind'] =>
  sqlState === undefined ? 'silent' : sqlState === CANNOT_CONNECT_NOW ? 'starting' : 'refused';
