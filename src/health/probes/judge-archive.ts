import type { HealthSettings } from '../../config/health-settings.ts';
import { formatLsn, type Lsn } from '../../formats/wal-segment.ts';
import { bytes, moment, roughly } from '../../kernel/units.ts';
import type { WalKeepingState } from '../../wal/keeping.ts';
import { judge, skipped } from '../health.ts';
import type { ResultOf } from '../probe.ts';

export interface ArchiveFacts {
  /** Undefined where no WAL was ever kept with this state directory. */
  readonly keeping: WalKeepingState | undefined;
  readonly end: { readonly timeline: number; readonly lsn: Lsn; readonly at: Date } | null;
  /** Behind the server; null where that is not known. */
  readonly lag: { readonly bytes: number; readonly seconds: number } | null;
  /** When the good base backups were done, oldest first. */
  readonly backupsAt: readonly string[];
}

const LOOK = '`dbkit wal status` shows it';

/** First match wins. A gap counts until a base backup has closed it; a failure is critical once it lasts. Pure. */
export function judgeArchive(
  { keeping, end, lag, backupsAt }: ArchiveFacts,
  { archiveDelay, rpoSeconds = null }: Pick<HealthSettings, 'archiveDelay'> & { readonly rpoSeconds?: number | null },
  now: Date,
): ResultOf<'wal-archive'> {
  if (keeping === undefined) return skipped('no WAL is kept for this instance');
  if (keeping.state === 'stopped') return skipped('the supervisor that keeps the WAL does not run');
  const lastGapAt = keeping.gaps.at(-1)?.at ?? '';
  const data = {
    state: keeping.state,
    guarded: keeping.guarded,
    fromAt: (end && backupsAt.find((at) => at > lastGapAt)) ?? null,
    endLsn: end && formatLsn(end.lsn),
    lagBytes: lag?.bytes ?? null,
    lagSeconds: lag?.seconds ?? null,
    rpoSeconds,
  };
  const { problem } = keeping;
  if (keeping.state === 'failing' && problem !== null) {
    const seconds = Math.max(0, (now.getTime() - Date.parse(problem.since)) / 1000);
    const level = judge(seconds, archiveDelay);
    return {
      status: level === 'critical' ? 'critical' : 'warning',
      summary: `WAL has not been kept for ${roughly(seconds)}: ${problem.message}`,
      hint: problem.hint ?? LOOK,
      data,
    };
  }
  const gap = keeping.gaps.findLast(({ at }) => at > (backupsAt.at(-1) ?? ''));
  if (gap)
    return {
      status: 'critical',
      summary: `the WAL from LSN ${gap.fromLsn} to ${gap.toLsn} is missing since ${moment(gap.at)}, and no base backup was taken since`,
      hint: '`dbkit backup create` closes the gap',
      data,
    };
  if (keeping.state === 'waiting') return { status: 'ok', summary: 'a standby, whose WAL is kept once it is promoted', data };
  const late = judge(lag?.bytes ? lag.seconds : 0, archiveDelay);
  if (late !== 'ok')
    return { status: late, summary: `the archive is ${bytes(lag!.bytes)} and ${roughly(lag!.seconds)} behind`, hint: LOOK, data };
  if (!keeping.guarded)
    return {
      status: 'warning',
      summary: 'no replication slot holds WAL back for the archive',
      hint: 'read the reason in dbkit’s log; max_replication_slots must be above 0 and wal_level at least replica',
      data,
    };
  const behind = lag === null ? 'how far it is behind is not known' : lag.bytes === 0 ? 'nothing is missing' : `${bytes(lag.bytes)} behind`;
  return { status: 'ok', summary: end === null ? 'nothing was kept yet' : `kept up to LSN ${formatLsn(end.lsn)}; ${behind}`, data };
}
