import type { Row } from '../../kernel/reasons.ts';

/** The facts when another branch of a project is checked out. */
export interface TurnFacts {
  /** The branch that the data of the database belongs to; null where nobody knows. */
  readonly from: string | null;
  /** The branch that is checked out. */
  readonly to: string;
  /** There is a snapshot of that branch. */
  readonly isSaved: boolean;
}

/** 'exchange': the database becomes the snapshot of its branch, and the other branch's snapshot the database; nothing is copied. */
export type Turn = 'stay' | 'name' | 'exchange' | 'copy';

/** The data of a database when a branch is checked out. First match wins. */
export const turnRows = [
  {
    id: 'branch-is-the-same',
    when: ({ from, to }) => from === to,
    then: 'stay',
    words: 'the data of the database is that of {to} already',
  },
  {
    id: 'branch-is-the-first',
    when: ({ from }) => from === null,
    then: 'name',
    words: 'nobody knows which branch the data belonged to, so it stays and belongs to {to}',
  },
  {
    id: 'branch-was-here-before',
    when: ({ isSaved }) => isSaved,
    then: 'exchange',
    words: 'the data of {from} is set aside as its snapshot, and that of {to} takes its place',
  },
  {
    id: 'branch-is-new',
    when: () => true,
    then: 'copy',
    words: 'the data is saved as that of {from}, and {to} begins with the same',
  },
] as const satisfies readonly Row<TurnFacts, Turn>[];
