import { formatLsn, type Lsn, parseLsn, segmentName, segmentOf } from '../../formats/wal-segment.ts';
import type { ReachedEnd } from '../backup.ts';
import type { BackupRecord } from './record.ts';
import type { RollForward } from './roll-forward.ts';

/**
 * How a restored cluster is to recover.
 *
 * With a backup_label and no recovery.signal the server replays from the label's checkpoint to the end of the WAL in pg_wal, refuses to open
 * before the backup's end, and goes on on the same timeline (xlogrecovery.c, InitWalRecovery; xlog.c, StartupXLOG): right when that end is
 * where the replaced server's WAL ends, because then it is that server's own crash recovery.
 *
 * When WAL is missing, the restored server would write other WAL under names that archives and standbys already know. So it gets
 * recovery.signal, which makes it choose a new timeline, and settings that hold for this recovery only.
 */
export interface RecoverySetup {
  readonly newTimeline: boolean;
  /** A label to write; undefined when the backup has its own, or none is needed. */
  readonly backupLabel: string | undefined;
  /** Lines to append to postgresql.auto.conf, above every earlier setting; empty when there are none. */
  readonly settings: string;
}

export function planRecovery(
  record: BackupRecord,
  rolled: {
    readonly segments: readonly string[];
    readonly complete: boolean;
    readonly stopBefore?: Lsn | undefined;
    readonly timeline?: number;
  },
  /** Files of single relations are missing or damaged. */
  isTolerant = false,
): RecoverySetup {
  const cold = record.mode === 'cold';
  // A cluster that was shut down cleanly replays nothing unless a label says where to begin.
  const backupLabel = cold && rolled.segments.length > 0 ? coldLabel(record) : undefined;
  const { timeline = record.timeline } = rolled;
  const isLater = timeline !== record.timeline;
  const newTimeline = !rolled.complete || isLater || record.fromStandby; // Its primary goes on with the old one.
  const settings = `${newTimeline ? newTimelineSettings(isLater ? String(timeline) : 'current', rolled.stopBefore) : ''}${record.tablespaces.length > 0 ? inPlaceSettings : ''}${isTolerant ? tolerantSettings : ''}`;
  return { newTimeline, backupLabel, settings };
}

/** For whoever writes signal file and settings himself: only what the copied files need. */
export const leaveRecovery = (record: BackupRecord, { segments }: { readonly segments: readonly string[] }): RecoverySetup => ({
  newTimeline: false,
  backupLabel: record.mode === 'cold' && segments.length > 0 ? coldLabel(record) : undefined,
  settings: record.tablespaces.length > 0 ? inPlaceSettings : '',
});

/** Of which at most one may be set. */
export const recoveryTargets = [
  'recovery_target',
  'recovery_target_lsn',
  'recovery_target_name',
  'recovery_target_time',
  'recovery_target_xid',
] as const;

type Setting = readonly [name: string, value: string];

/** Lines of postgresql.auto.conf that a recovery needs and nobody after it: `withoutRecoverySettings` takes them out again. */
export const forRecoveryOnly = (settings: readonly Setting[]): string =>
  [
    '',
    '# dbkit restore: begin (only read while recovery.signal is there)',
    ...settings.map(([name, value]) => `${name} = ${quoted(value)}`),
    '# dbkit restore: end',
    '',
  ].join('\n');

/** As guc-file.l reads it: both quotes and backslashes are doubled. */
const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;

/** No WAL but pg_wal's, no target left over from an earlier recovery, and no reader before the server is open for writing. */
const newTimelineSettings = (timeline: string, stopBefore: Lsn | undefined): string =>
  forRecoveryOnly([
    ['restore_command', 'false'],
    ['recovery_target_timeline', timeline],
    ...recoveryTargets.map((name): Setting => [name, '']),
    ['hot_standby', 'off'],
    // A record of wal_level = minimal ends a recovery with an error (xlogrecovery.c, CheckRequiredParameterValues).
    ...(stopBefore === undefined
      ? []
      : ([
          ['recovery_target_lsn', formatLsn(stopBefore)],
          ['recovery_target_inclusive', 'off'],
          ['recovery_target_action', 'promote'],
        ] as const)),
  ]);

/** Recovery panics on WAL about pages that are not there (xlogutils.c, XLogCheckInvalidPages), from 13 on unless told. */
const tolerantSettings = '\n# dbkit restore: begin (files of the backup are damaged)\nignore_invalid_pages = on\n# dbkit restore: end\n';

/** Recovery panics on tablespaces that are directories instead of links, unless told (xlogrecovery.c, CheckTablespaceDirectory). */
const inPlaceSettings = '\n# dbkit restore: tablespaces lie inside the data directory\nallow_in_place_tablespaces = on\n';

/**
 * A label for a copy of a cleanly stopped cluster: replay begins at the shutdown checkpoint. Its method is not `streamed`, so no end-of-backup
 * record is waited for (xlogrecovery.c, read_backup_label): the files were consistent by themselves.
 */
function coldLabel({ checkpointLsn, timeline, walSegmentSizeBytes, createdAt, label }: BackupRecord): string {
  const lsn = parseLsn(checkpointLsn);
  const file = segmentName(timeline, segmentOf(lsn, walSegmentSizeBytes), walSegmentSizeBytes);
  return [
    `START WAL LOCATION: ${checkpointLsn} (file ${file})`,
    `CHECKPOINT LOCATION: ${checkpointLsn}`,
    'BACKUP METHOD: cold',
    'BACKUP FROM: primary',
    `START TIME: ${createdAt.slice(0, 19).replace('T', ' ')} UTC`,
    `LABEL: ${label}`,
    `START TIMELINE: ${timeline}`,
    '',
  ].join('\n');
}

/** The place in the WAL that the restored cluster comes to. */
export function reachedEnd(record: BackupRecord, rolled: RollForward): ReachedEnd {
  const { segments, end, lastCommitAt, stopBefore, owed } = rolled;
  return {
    at: lastCommitAt?.toISOString() ?? null,
    lsn: segments.length === 0 ? record.stopLsn : formatLsn(stopBefore ?? end),
    owedLsn: owed === undefined ? null : formatLsn(owed),
    phrase: describeEnd(record, rolled),
  };
}

/** One phrase for people: what the restored cluster holds. */
function describeEnd(
  record: BackupRecord,
  { segments, complete, end, lastCommitAt, stopBefore, owed, endsInArchive }: RollForward,
): string {
  const had = owed === undefined ? '' : ` (it had come to LSN ${formatLsn(owed)})`;
  const why = stopBefore === undefined ? 'the WAL after it is missing or damaged' : 'the WAL after it was written with wal_level = minimal';
  if (segments.length === 0) {
    const at = `the end of backup ${record.label}, ${record.createdAt} (LSN ${record.stopLsn})`;
    return complete ? at : `${at}; the WAL since then is missing${had}`;
  }
  if (!complete && endsInArchive && owed === undefined && stopBefore === undefined)
    return `the end of the WAL archive (LSN ${formatLsn(end)}${lastCommitAt ? `, last commit ${lastCommitAt.toISOString()}` : ''})`;
  const commit = lastCommitAt ? `, last commit ${lastCommitAt.toISOString()}` : '';
  return complete
    ? `the end of the replaced instance's WAL (LSN ${formatLsn(end)}${commit})`
    : `LSN ${formatLsn(end)}${commit}; ${why}${had}`;
}

/** postgresql.auto.conf after a recovery has ended: without the settings that were meant for it alone. */
export const withoutRecoverySettings = (text: string): string =>
  text.replace(/\n?# dbkit restore: begin[\s\S]*?# dbkit restore: end\n/g, '');
