import type { HealthSettings, Levels } from '../../config/health-settings.ts';
import { bytes, counted, roughly } from '../../kernel/units.ts';
import { OWN_SLOT } from '../../wal/slot.ts';
import { judge } from '../health.ts';
import type { Leading } from '../leading.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';
import { asking } from './asking.ts';
import type { SharedSessions, Watch } from './sessions.ts';

const REPLICAS = `
  SELECT coalesce(nullif(application_name, ''), host(client_addr), 'pid ' || pid) AS name, coalesce(state, '?') AS state,
         coalesce(extract(epoch FROM replay_lag), 0)::float8 AS seconds,
         coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::float8 AS behind, sync_state AS sync
    FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup' AND application_name <> '${OWN_SLOT}'`; // The archive is no replica.
/** Where everything that was received has been replayed there is no lag, however long ago the last transaction was. */
const STANDBY = `
  SELECT CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
              ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END::float8 AS seconds,
         (SELECT pg_wal_lsn_diff(latest_end_lsn, pg_last_wal_replay_lsn()) FROM pg_stat_wal_receiver)::float8 AS behind,
         (SELECT sender_host || ':' || sender_port FROM pg_stat_wal_receiver) AS upstream,
         (SELECT received_tli FROM pg_stat_wal_receiver) AS timeline,
         EXISTS (SELECT FROM pg_stat_wal_receiver) AS receiving, pg_is_wal_replay_paused() AS paused,
         (SELECT setting <> '' FROM pg_settings WHERE name = 'primary_conninfo') AS follows`;

/** How far the replicas are behind, or this standby is. */
export function replicationProbe(
  { replicationLag }: HealthSettings,
  sessions: SharedSessions,
  leading: Leading | undefined,
): ProbeOf<'replication'> {
  return asking(sessions, { name: 'replication', title: 'replication lag' }, async (watch, signal) => {
    if (!watch.standby) return asPrimary(watch, replicationLag);
    const leader = leading?.leader(signal); // While the server is asked.
    leader?.catch(() => undefined);
    const [row] = await watch.session.query<Standby>(STANDBY);
    return judgeStandby(row!, await leader, replicationLag);
  });
}

async function asPrimary({ session, seesAll }: Watch, levels: Levels): Promise<ResultOf<'replication'>> {
  const rows = await session.query<{ name: string; state: string; seconds: number; behind: number; sync: string | null }>(REPLICAS);
  if (rows.length === 0) return { status: 'ok', summary: 'no replicas' };
  if (!seesAll) return { status: 'ok', summary: `${counted(rows.length, 'replica')}, whose lag this role may not see` };
  const worst = rows.reduce((most, row) => (row.seconds > most.seconds ? row : most));
  const synchronous = rows.filter(({ sync }) => sync === 'sync' || sync === 'quorum').map(({ name }) => name);
  const status = judge(worst.seconds, levels);
  const lag = worst.seconds === 0 ? 'none is behind' : `${worst.name} is ${roughly(worst.seconds)} behind (${bytes(worst.behind)})`;
  return {
    status,
    summary: `${counted(rows.length, 'replica')}${synchronous.length === 0 ? '' : ` (${synchronous.join(', ')} synchronous)`}; ${lag}`,
    hint: status === 'ok' ? undefined : `look at ${worst.name}: its disk, its network, a long query there`,
    data: rows,
  };
}

/** The answer to STANDBY. */
export interface Standby {
  readonly seconds: number | null;
  readonly receiving: boolean;
  readonly paused: boolean;
  readonly follows: boolean | null;
  readonly behind: number | null;
  readonly upstream: string | null;
  readonly timeline: number | null;
}

/** Pure. `leader`: the member that leads; null: none says so; undefined: there is no cluster. */
export function judgeStandby(
  { seconds, receiving, paused, follows, ...heard }: Standby,
  leader: string | null | undefined,
  levels: Levels,
): ResultOf<'replication'> {
  const isCut = follows === true && !receiving; // One that is fed from an archive has no connection to lose.
  const much = heard.behind !== null && heard.behind > 0 ? ` (${bytes(heard.behind)})` : '';
  const lag =
    seconds === null ? 'no transaction replayed yet' : seconds === 0 ? 'replayed all it has received' : `${roughly(seconds)} behind${much}`;
  const judged = judge(seconds ?? 0, levels);
  const of = heard.upstream === null ? '' : ` of ${heard.upstream}${heard.timeline === null ? '' : ` on timeline ${heard.timeline}`}`;
  const leads = leader === undefined ? '' : leader === null ? '; no member says that it leads' : `; ${leader} leads`;
  return {
    status: judged === 'ok' && (paused || isCut) ? 'warning' : judged,
    summary: `a standby${of}, ${lag}${isCut ? ', without a connection to its primary' : ''}${paused ? ', replay is paused' : ''}${leads}`,
    hint: hintFor({ isCut, paused, isLate: judged !== 'ok', leader }),
    data: { seconds, receiving, paused, ...heard, ...(leader === undefined ? {} : { leader }) },
  };
}

interface Trouble {
  readonly isCut: boolean;
  readonly paused: boolean;
  readonly isLate: boolean;
  readonly leader: string | null | undefined;
}

function hintFor({ isCut, paused, isLate, leader }: Trouble): string | undefined {
  if (paused) return '`SELECT pg_wal_replay_resume()` lets it go on';
  if (isCut && leader === null) return '`dbkit ha why-not` says who may take over';
  if (isCut && leader !== undefined) return '`dbkit ha status` shows whether it will follow by itself';
  if (isCut) return 'look at primary_conninfo, and whether the primary runs and lets it in';
  return isLate ? 'a long query here, or a slow disk, holds replay up' : undefined;
}
