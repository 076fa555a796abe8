import { always, type Remedy, refuses, repairs } from './remedy.ts';

/** Findings that the WAL mends, and what stands against pg_control; before the repairs that need a server that can start. */
export const ofWal = [
  {
    id: 'control-file-contradicted',
    findings: ['control.contradicted'],
    when: always,
    ...refuses,
    words: 'with a pg_control of another cluster, or of another time, every row would be lost',
    refusal: {
      code: 'recovery.refused',
      hint: 'put the right pg_control and pg_wal back, or run `dbkit recover --strategy restore`; nothing was changed',
    },
  },
  {
    id: 'kept-copies-and-wal',
    findings: ['control.damaged', 'slru.damaged'],
    when: ({ finding, replaysFromKept, tried }) => finding.severity === 'certain' && replaysFromKept && !tried,
    ...repairs,
    mend: 'replay-from-kept-files',
    words: 'the copies of the last clean shutdown and the WAL since then hold everything',
  },
  {
    id: 'control-file-outdated',
    findings: ['control.outdated'],
    when: ({ keptIsCurrent, tried }) => !keptIsCurrent && !tried,
    ...repairs,
    mend: 'replay-from-older-control',
    words: 'the WAL goes on behind its checkpoint, so PostgreSQL replays it from there',
  },
  {
    id: 'archive-leads-on',
    findings: ['wal.missing', 'wal.damaged', 'wal.gap', 'wal-directory.missing'],
    when: ({ finding, archiveLeadsOn, tried }) => finding.severity === 'certain' && archiveLeadsOn && !tried,
    then: 'repair',
    loses: 'wal-behind-the-archive',
    mend: 'bring-wal-from-archive',
    words: 'the archive has the WAL that is missing here, and crash recovery replays it',
  },
  {
    id: 'wal-behind-a-gap',
    findings: ['wal.gap'],
    when: ({ backupIsCurrent, tried }) => !backupIsCurrent || tried,
    then: 'repair',
    loses: 'wal-behind-a-gap',
    mend: 'keep-wal-aside',
    words: 'recovery ends at the gap, and the server would write over the WAL behind it',
  },
  {
    id: 'prepared-transaction-damaged',
    findings: ['prepared.damaged'],
    when: ({ keptIsCurrent, backupIsCurrent }) => !keptIsCurrent && !backupIsCurrent,
    then: 'repair',
    loses: 'prepared-transaction',
    mend: 'rebuild-prepared-transaction',
    words: 'the WAL of its PREPARE holds the very same bytes',
  },
] as const satisfies readonly Remedy[];
