import type { PointRequest } from '../backups/base/points/point.ts';
import { forRecoveryOnly, recoveryTargets } from '../backups/base/recovery-setup.ts';
import { shellArgument } from '../kernel/shell-word.ts';
import { formatMicros } from '../wal/moments/moment.ts';
import { common, type Prepared } from './program.ts';

/** PostgreSQL reads % in archive_command and restore_command as the beginning of a placeholder (server configuration chapter, "Archiving"). */
const word = (text: string): string => shellArgument(text).replaceAll('%', '%%');
const words = (all: readonly string[]): string => all.map(word).join(' ');

/** Settings of a server whose WAL pgBackRest keeps; above every configuration file, so that nobody archives to two places. */
export const archiveSettings = ({ program, places, stanza }: Prepared): Readonly<Record<string, string>> => ({
  archive_mode: 'on',
  archive_command: `${words([program, ...common(places, stanza)])} archive-push "%p"`,
  archive_timeout: '60s', // Without it a quiet server's last rows would not leave this machine.
});

/**
 * Fetches WAL for a restored server, which runs it in its data directory; `fetching` is a folder of that restore alone, as what is fetched ahead is. 0 fetched, 1 not in the archive; anything else would be taken for the end of
 * the archive too, and the server would open without the rest: 126 stops it (xlogarchive.c, RestoreArchivedFile).
 */
export const restoreCommand = ({ program, places, stanza }: Pick<Prepared, 'program' | 'places' | 'stanza'>, fetching: string): string =>
  `${words([program, ...common(places, stanza), `--lock-path=${fetching}/lock`, `--spool-path=${fetching}/spool`])} --pg1-path="$PWD" archive-get %f "%p"; s=$?; test $s -le 1 && exit $s; exit 126`;

export interface Target {
  /** Undefined: the backup as it is. */
  readonly point: PointRequest | undefined;
  /** Undefined: that of the backup. */
  readonly timeline: number | undefined;
  readonly command: string;
}

/** Pure. The lines that are appended to postgresql.auto.conf; dbkit removes it once the restored server has come up. */
export function recoverySettings({ point, timeline, command }: Target): string {
  const [name, value] = targetOf(point);
  return forRecoveryOnly([
    ['restore_command', command],
    ['recovery_target_timeline', timeline === undefined ? 'current' : String(timeline)],
    ...recoveryTargets.filter((one) => one !== name).map((one) => [one, ''] as const),
    ...(name === undefined ? [] : [[name, value] as const]), // Behind the others: one that is emptied after it would be a second target.
    ['recovery_target_inclusive', point?.exclusive ? 'off' : 'on'],
    ['recovery_target_action', 'promote'],
    ['hot_standby', 'off'],
    ['archive_mode', 'on'], // The new timeline's history is marked to be archived, and is once the copy is the instance.
  ]);
}

function targetOf(point: PointRequest | undefined): readonly [name: (typeof recoveryTargets)[number] | undefined, value: string] {
  if (point === undefined) return ['recovery_target', 'immediate'];
  if (point.to === 'time') return ['recovery_target_time', formatMicros(BigInt(point.value))];
  if (point.to === 'lsn') return ['recovery_target_lsn', point.value];
  if (point.to === 'xid') return ['recovery_target_xid', point.value];
  if (point.to === 'name') return ['recovery_target_name', point.value];
  return [undefined, ''];
}
