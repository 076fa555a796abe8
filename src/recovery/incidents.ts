import { fill } from '../kernel/reasons.ts';
import type { RungId } from './ladder.ts';

/** Steps that were done, or are to be done, although no rung of the ladder asked for it. */
export const incidents = {
  'first-start-goes-on': 'the first start of a new instance was interrupted; it goes on',
  'replacement-unfinished': 'an earlier replacement of the data was interrupted; it is finished first',
  'recovery-judged': 'the server replayed the WAL that was there',
  'pages-unknown':
    'pages of {relations} hold zeroes: a crash leaves such pages where a relation grows, and a bad disk does. Count the rows of a table and REINDEX an index; ' +
    'take a backup (`dbkit backup create`), by which the next crash is judged',
  'pages-unproven': 'the pages could not be held against the backup and the WAL: {why}',
  'files-touched':
    'somebody wrote to {relations} while no server ran, and neither a backup nor the WAL tells what was there before. Where it was only a copy or a `touch` all is ' +
    'well; else count the rows. Take a backup (`dbkit backup create`), by which it is known the next time',
  'server-recovered':
    'the server recovered while it ran, as a session of it was killed or crashed it: it emptied its unlogged tables, and ended every other session',
  'databases-left':
    'a session in {databases} comes to no end, or crashes the server, and the files do not tell why, so nothing is known of it; take a copy of the files, then look at ' +
    'its indexes with pg_amcheck',
  'damage-is-named': 'the server runs; what it names is reported, and nothing is replaced for it',
  'index-rebuilt': 'an index holds nothing that its table does not',
  'dump-loaded': '{count} databases of {label} were loaded into the new cluster',
  migrated: 'the configured migration ran in the new cluster',
  'migration-failed': 'the configured migration failed: {why}',
  'processes-continued': '{count} of its processes had been stopped by a signal and go on now',
  'server-was-hung': 'it was hung and was restarted',
  'server-restarted': 'it was restarted',
  'nothing-to-recover': 'it runs, and nothing is wrong',
  'backup-asked-for': 'a person asked for restoring {label}',
  'undo-asked-for': 'a person asked for bringing back {label}',
  'upgrade-asked-for': 'the data was upgraded from PostgreSQL {from} to {to}',
  'amcheck-consistent': 'pg_amcheck finds every table and index consistent',
  'amcheck-complains': 'pg_amcheck complains: {complaints}',
  'amcheck-did-not-run': 'pg_amcheck could not look: {why}',
} as const satisfies Readonly<Record<string, string>>;
/** The two fields of a report, or of one of its steps, that tell an incident. */
export const incident = <Id extends keyof typeof incidents>(reason: Id, facts: Readonly<Record<string, string | number>> = {}) => ({
  reason,
  because: fill(incidents[reason], facts),
});
export type RecoveryReason = RungId | keyof typeof incidents;
