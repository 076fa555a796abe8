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

/** Seconds of silence, and how often it is asked again: a store that is silent for a minute or two does not end a recovery; one that refuses at once does after ten seconds. */
const FETCH = { silence: 10, answer: 20, attempts: 6, pause: 2 } as const;

/**
 * Fetches WAL for a restored server, which runs it in its data directory; `fetching` is a folder of that restore alone, as what is fetched ahead is. 0 fetched, 1 not in the archive; anything else would be taken for the end of
 * the archive too, and the server would open without the rest: 126 stops it (xlogarchive.c, RestoreArchivedFile). Each failure is a line in the
 * server's log: it is what people read, and the sign of progress that keeps a start from being given up (launch).
 */
export function restoreCommand({ program, places, stanza }: Pick<Prepared, 'program' | 'places' | 'stanza'>, fetching: string): string {
  const own = [`--lock-path=${fetching}/lock`, `--spool-path=${fetching}/spool`];
  const limits = [`--io-timeout=${FETCH.silence}`, `--archive-timeout=${FETCH.answer}`];
  const get = `${words([program, ...common(places, stanza), ...own, ...limits])} --pg1-path="$PWD" archive-get %f "%p"`;
  const told = `echo "dbkit: the repository of pgBackRest does not give %f (status $s), attempt $n of ${FETCH.attempts}" >&2`;
  const over = `test $n -ge ${FETCH.attempts} || ! kill -0 $PPID 2>/dev/null`;
  return `n=0; while :; do ${get}; s=$?; test $s -le 1 && exit $s; n=$((n+1)); ${told}; if ${over}; then exit 126; fi; sleep ${FETCH.pause}; done`;
}

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
