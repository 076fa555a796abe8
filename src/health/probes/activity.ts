import type { HealthSettings } from '../../config/health-settings.ts';
import type { Connection } from '../../instance/connection.ts';
import { counted, roughly } from '../../kernel/units.ts';
import type { Prepared } from '../facts.ts';
import { judge } from '../health.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';
import { asking } from './asking.ts';
import type { SharedSessions } from './sessions.ts';

interface Slow {
  readonly pid: number;
  readonly who: string;
  readonly seconds: number;
}

const longest = (rows: readonly Slow[]): Slow => rows.reduce((most, row) => (row.seconds > most.seconds ? row : most));

/** The sessions of people and programs whose `since` is longer ago than a number of seconds ($1). */
const sessionsSince = (since: string, condition: string): string => `
  SELECT pid, coalesce(usename, '?') || CASE WHEN application_name = '' THEN '' ELSE ', ' || application_name END AS who,
         extract(epoch FROM clock_timestamp() - ${since})::float8 AS seconds
    FROM pg_stat_activity
   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND ${condition} AND clock_timestamp() - ${since} >= make_interval(secs => $1)`;

/** Queries that run for minutes. A backup or a migration may rightly do so, which is why they are only a warning for a day. */
export function longQueriesProbe({ longQueries }: HealthSettings, sessions: SharedSessions): ProbeOf<'long-queries'> {
  return asking(sessions, { name: 'long-queries', title: 'queries that run long', needsAll: true }, async ({ session }) => {
    const rows = await session.query<Slow>(sessionsSince('query_start', "state = 'active'"), [longQueries.warning]);
    if (rows.length === 0) return { status: 'ok', summary: `no query runs longer than ${roughly(longQueries.warning)}` };
    const { pid, who, seconds } = longest(rows);
    return {
      status: judge(seconds, longQueries),
      summary: `${counted(rows.length, 'query').replace(/ys$/, 'ies')} longer than ${roughly(longQueries.warning)}; the longest since ${roughly(seconds)}: pid ${pid} (${who})`,
      hint: `\`SELECT pg_cancel_backend(${pid})\` ends that query`,
      data: rows,
    };
  });
}

/** A prepared transaction has no session: pg_stat_activity does not know it, and no restart ends it. */
const PREPARED = `
  SELECT gid, database, owner, extract(epoch FROM clock_timestamp() - prepared)::float8 AS seconds FROM pg_prepared_xacts
   WHERE clock_timestamp() - prepared >= make_interval(secs => $1) ORDER BY prepared`;

/** How a prepared transaction is ended; only a person knows which of the two is right. */
const ending = (session: Connection, gid: string): string =>
  `\`COMMIT PREPARED ${session.escapeLiteral(gid)}\` or \`ROLLBACK PREPARED ${session.escapeLiteral(gid)}\``;

/** Transactions that were begun and forgotten: they hold locks, and keep vacuum from doing its work. */
export function idleInTransactionProbe({ idleInTransaction }: HealthSettings, sessions: SharedSessions): ProbeOf<'idle-in-transaction'> {
  return asking(sessions, { name: 'idle-in-transaction', title: 'forgotten transactions', needsAll: true }, async ({ session }) => {
    const rows = await session.query<Slow>(sessionsSince('state_change', "state LIKE 'idle in transaction%'"), [idleInTransaction.warning]);
    const prepared = await session.query<Prepared>(PREPARED, [idleInTransaction.warning]);
    const [oldest] = prepared;
    if (oldest && oldest.seconds >= Math.max(0, ...rows.map(({ seconds }) => seconds))) {
      const more = rows.length === 0 ? '' : `; ${counted(rows.length, 'session')} idle in a transaction too`;
      return {
        status: judge(oldest.seconds, idleInTransaction),
        summary: `${counted(prepared.length, 'prepared transaction')} older than ${roughly(idleInTransaction.warning)}; the oldest since ${roughly(oldest.seconds)}: ${session.escapeLiteral(oldest.gid)} of ${oldest.owner} in ${oldest.database}${more}`,
        hint: `connected to ${oldest.database}: ${ending(session, oldest.gid)}`,
        data: [...rows, ...prepared],
      };
    }
    if (rows.length === 0) return { status: 'ok', summary: `no transaction idles longer than ${roughly(idleInTransaction.warning)}` };
    const { pid, who, seconds } = longest(rows);
    return {
      status: judge(seconds, idleInTransaction),
      summary: `${counted(rows.length, 'transaction')} idle longer than ${roughly(idleInTransaction.warning)}; the longest since ${roughly(seconds)}: pid ${pid} (${who})`,
      hint: `\`SELECT pg_terminate_backend(${pid})\` ends that session; idle_in_transaction_session_timeout would do it by itself`,
      data: [...rows, ...prepared],
    };
  });
}

interface Blocked extends Slow {
  readonly blocker: number;
  readonly blocker_who: string;
  readonly blocker_state: string;
  /** Of the prepared transaction that blocks, where no session does. */
  readonly gid: string | null;
}

/** pg_blocking_pids names process 0 for a prepared transaction (functions-info, "Session Information Functions"). pg_locks.waitstart came with 14; to_jsonb leaves it null before, and the query's own start is then the nearest there is. */
const BLOCKED = `
  SELECT a.pid, coalesce(a.usename, '?') AS who,
         extract(epoch FROM clock_timestamp() - coalesce(w.since, a.query_start))::float8 AS seconds,
         coalesce(b.pid, 0) AS blocker, coalesce(b.usename, '?') AS blocker_who,
         coalesce(b.state, b.backend_type, 'prepared transaction') AS blocker_state,
         CASE WHEN b.pid IS NULL THEN (
           SELECT p.gid FROM pg_locks w JOIN pg_locks h ON h.granted AND h.pid IS NULL AND h.locktype = w.locktype
             AND (h.transactionid = w.transactionid OR (h.relation = w.relation AND h.database = w.database))
             JOIN pg_locks x ON x.virtualtransaction = h.virtualtransaction AND x.pid IS NULL AND x.locktype = 'transactionid' AND x.granted
             JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
            WHERE w.pid = a.pid AND NOT w.granted LIMIT 1) END AS gid
    FROM pg_stat_activity a
    LEFT JOIN LATERAL (SELECT min((to_jsonb(l) ->> 'waitstart')::timestamptz) AS since FROM pg_locks l WHERE l.pid = a.pid AND NOT l.granted) w ON true
    LEFT JOIN pg_stat_activity b ON b.pid = (pg_blocking_pids(a.pid))[1]
   WHERE a.wait_event_type = 'Lock' AND cardinality(pg_blocking_pids(a.pid)) > 0`;

/** Sessions that wait for a lock, and who holds it. */
export function blockedProbe({ blocked }: HealthSettings, sessions: SharedSessions): ProbeOf<'blocked'> {
  return asking(sessions, { name: 'blocked', title: 'sessions behind a lock', needsAll: true }, async ({ session }) => {
    const all = await session.query<Blocked>(BLOCKED);
    const rows = all.filter(({ seconds }) => seconds >= blocked.warning);
    if (rows.length === 0) {
      return {
        status: 'ok',
        summary: all.length === 0 ? 'no session waits for a lock' : `${counted(all.length, 'session')} wait for a lock, briefly`,
      };
    }
    const worst = longest(rows) as Blocked;
    const root = rootOf(worst, all);
    return {
      status: judge(worst.seconds, blocked),
      summary: `${counted(rows.length, 'session')} blocked longer than ${roughly(blocked.warning)}; pid ${worst.pid} (${worst.who}) since ${roughly(worst.seconds)} by ${blockerOf(root)}`,
      hint:
        root.blocker !== 0
          ? `\`SELECT pg_terminate_backend(${root.blocker})\` frees ${rows.length === 1 ? 'it' : 'them'}`
          : root.gid === null
            ? '`SELECT * FROM pg_prepared_xacts` names it; commit it or roll it back'
            : ending(session, root.gid),
      data: rows,
    };
  });
}

const blockerOf = ({ blocker, blocker_who: who, blocker_state: state, gid }: Blocked): string =>
  blocker === 0 ? `the prepared transaction ${gid ?? '(see pg_prepared_xacts)'}` : `pid ${blocker} (${who}, ${state})`;

/** Whoever blocks may be blocked himself: the one at the head of the queue is the one to end. */
function rootOf(row: Blocked, all: readonly Blocked[], steps = 0): Blocked {
  const ahead = all.find(({ pid }) => pid === row.blocker);
  return ahead === undefined || steps > all.length ? row : rootOf(ahead, all, steps + 1);
}

const CONNECTIONS = `
  SELECT CASE WHEN $1 THEN (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
              ELSE (SELECT sum(numbackends) FROM pg_stat_database) END::int AS used,
         current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true)::int, 0) AS usable`; // The last one came with 16.

/** How near the server is to refusing the next client. */
export function connectionsProbe({ connections }: HealthSettings, sessions: SharedSessions): ProbeOf<'connections'> {
  return asking(
    sessions,
    { name: 'connections', title: 'connections in use' },
    async ({ session, seesAll }): Promise<ResultOf<'connections'>> => {
      const [row] = await session.query<{ used: number; usable: number }>(CONNECTIONS, [seesAll]);
      const { used, usable } = row!;
      const percent = Math.round((100 * used) / Math.max(1, usable));
      const status = judge(percent, connections);
      return {
        status,
        summary: `${used} of ${usable} connections are taken (${percent} %)`,
        hint: status === 'ok' ? undefined : 'a pool in front (PgBouncer) helps more than a larger max_connections',
        data: { used, usable },
      };
    },
  );
}
