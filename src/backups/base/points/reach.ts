import type { Refusal, Row } from '../../../kernel/reasons.ts';

/** The facts of a moment when it is decided whether a backup and WAL lead to it. */
export interface ReachFacts {
  /** Good base backups on the way to the timeline. */
  readonly backups: number;
  /** The asked thing was found in the WAL; true for times and LSNs, which are looked for later. */
  readonly found: boolean;
  /** A restore point's name was made twice. */
  readonly ambiguous: boolean;
  /** The WAL was read to where the moment is, and its backup ends before it. */
  readonly served: boolean;
  /** It is the very end of the WAL that is there. */
  readonly isEnd: boolean;
  /** Every backup ends behind it. */
  readonly beforeBackups: boolean;
  /** WAL is missing between what can be read and what is there behind it. */
  readonly gap: boolean;
  /** The WAL was written with wal_level = minimal there. */
  readonly minimal: boolean;
}

type Reach = Row<ReachFacts, 'restore' | 'refuse'> & { readonly refusal?: Refusal };

const hint = 'name another moment; `dbkit backup list` shows the backups; nothing was changed';
const refuses = { then: 'refuse', refusal: { code: 'recovery.refused', hint } } as const;

/** Can a moment be reached? First match wins. */
export const reachRows = [
  { id: 'point-without-backup', when: ({ backups }) => backups === 0, ...refuses, words: 'no good base backup leads to that timeline' },
  {
    id: 'point-name-twice',
    when: ({ ambiguous }) => ambiguous,
    ...refuses,
    words: 'there are several restore points of that name; name one by its LSN, with --to-lsn',
  },
  { id: 'point-not-in-wal', when: ({ found }) => !found, ...refuses, words: 'the WAL that is there does not contain it' },
  {
    id: 'point-before-backups',
    when: ({ beforeBackups }) => beforeBackups,
    ...refuses,
    words: 'it is before the end of the oldest backup that could lead there',
  },
  {
    id: 'point-behind-minimal-wal',
    when: ({ minimal, served }) => minimal && !served,
    ...refuses,
    words: 'the WAL before it was written with wal_level = minimal and does not hold everything',
  },
  { id: 'point-in-a-gap', when: ({ gap, served }) => gap && !served, ...refuses, words: 'WAL is missing before it' },
  {
    id: 'point-after-the-last-commit',
    when: ({ served }) => !served,
    ...refuses,
    words: 'it is after the last commit that the WAL holds; `--to latest` restores to that',
  },
  {
    id: 'point-is-the-end',
    when: ({ isEnd }) => isEnd,
    then: 'restore',
    words: 'it is the end of the WAL that is there: all of it is replayed',
  },
  { id: 'point-between-records', when: () => true, then: 'restore', words: 'replay stops before the first record that is too late' },
] as const satisfies readonly Reach[];
