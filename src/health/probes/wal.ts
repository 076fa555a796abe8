import type { HealthSettings } from '../../config/health-settings.ts';
import { bytes, counted, roughly } from '../../kernel/units.ts';
import { OWN_SLOT } from '../../wal/slot.ts';
import type { ProbeFacts } from '../facts.ts';
import { judge, worstOf } from '../health.ts';
import type { ProbeOf, ProbeResult, ResultOf } from '../probe.ts';
import { asking } from './asking.ts';
import type { SharedSessions, Watch } from './sessions.ts';

type WalFacts = ProbeFacts['wal'];

const ARCHIVER = `
  SELECT current_setting('archive_mode') <> 'off' AS on, last_failed_wal AS failed,
         last_failed_time > coalesce(last_archived_time, '-infinity') AS failing,
         extract(epoch FROM clock_timestamp() - last_archived_time)::float8 AS seconds, failed_count::int AS failures
    FROM pg_stat_archiver`;
/** Segments that are finished and wait: archive_status/NAME.ready (src/backend/postmaster/pgarch.c). */
const WAITING = `
  SELECT count(*)::int AS waiting, extract(epoch FROM clock_timestamp() - min(modification))::float8 AS seconds
    FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'`;
const SIZE = `
  SELECT (SELECT sum(size) FROM pg_ls_waldir())::float8 AS used,
         (SELECT setting::float8 * 1024 * 1024 FROM pg_settings WHERE name = 'max_wal_size') AS wanted,
         (SELECT slot_name FROM pg_replication_slots WHERE NOT active AND slot_name <> '${OWN_SLOT}' ORDER BY restart_lsn LIMIT 1) AS idle_slot`;

/** WAL leaves pg_wal as it should: an archiver that fails or lags, or a slot that nobody reads, fills the disk in the end. */
export function walProbe({ walGrowth, archiveDelay }: HealthSettings, sessions: SharedSessions): ProbeOf<'wal'> {
  return asking(sessions, { name: 'wal', title: 'archiver and pg_wal' }, async (watch): Promise<ResultOf<'wal'>> => {
    const archiver = await archiverOf(watch, archiveDelay);
    const size = watch.seesAll ? await sizeOf(watch, walGrowth) : undefined;
    const both = [archiver, ...(size ? [size] : [])];
    return {
      status: worstOf(both.map(({ status }) => status)),
      summary: both.map(({ summary }) => summary).join('; '),
      hint: both.find(({ hint }) => hint !== undefined)?.hint,
      data: { ...archiver.data, ...size?.data },
    };
  });
}

async function archiverOf(
  { session, seesAll }: Watch,
  levels: HealthSettings['archiveDelay'],
): Promise<ProbeResult<WalFacts> & { readonly data: WalFacts }> {
  const [row] = await session.query<{
    on: boolean;
    failed: string | null;
    failing: boolean | null;
    seconds: number | null;
    failures: number;
  }>(ARCHIVER);
  const { on, failed, failing, seconds, failures } = row!;
  const data = { archiving: on, archiveFailures: failures };
  if (!on) return { status: 'ok', summary: 'no archiving', data };
  const [queue] = seesAll ? await session.query<{ waiting: number; seconds: number | null }>(WAITING).catch(() => []) : [];
  const facts = queue ? { ...data, archiveWaiting: queue.waiting } : data;
  const lag = judge(queue?.seconds ?? 0, levels);
  const waiting = lag === 'ok' ? '' : `; ${counted(queue!.waiting, 'segment')} wait, the first for ${roughly(queue!.seconds!)}`;
  const hint = 'the server log says what archive_command answers';
  if (failing) {
    const since = seconds === null ? 'nothing was archived yet' : `the last success was ${roughly(seconds)} ago`;
    return {
      status: lag === 'critical' ? 'critical' : 'warning',
      summary: `archiving of ${failed} fails, ${since}${waiting}`,
      hint,
      data: facts,
    };
  }
  const done = seconds === null ? 'nothing archived yet' : `archived ${roughly(seconds)} ago`;
  if (lag !== 'ok') return { status: lag, summary: `archiving lags behind: ${done}${waiting}`, hint, data: facts };
  return { status: 'ok', summary: done, data: facts };
}

async function sizeOf(
  { session }: Watch,
  levels: HealthSettings['walGrowth'],
): Promise<ProbeResult<Pick<WalFacts, 'walBytes' | 'maxWalBytes'>>> {
  const [row] = await session.query<{ used: number; wanted: number; idle_slot: string | null }>(SIZE);
  const { used, wanted, idle_slot: slot } = row!;
  const status = judge(used / wanted, levels);
  const summary = `pg_wal holds ${bytes(used)} of ${bytes(wanted)}`;
  const data = { walBytes: used, maxWalBytes: wanted };
  if (status === 'ok') return { status, summary, data };
  return slot === null
    ? { status, summary, hint: 'a failing archiver, wal_keep_size or a long checkpoint keeps it there', data }
    : {
        status,
        summary: `${summary}, slot ${slot} is read by nobody`,
        hint: `\`SELECT pg_drop_replication_slot('${slot}')\` if nobody will come back for it`,
        data,
      };
}
