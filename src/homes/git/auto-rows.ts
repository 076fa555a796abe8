import type { Row } from '../../kernel/reasons.ts';

/** The facts of a checkout, as git's post-checkout hook is told them, and as the work tree is now. */
export interface CheckoutFacts {
  /** The person switched this on in this repository. */
  readonly isOn: boolean;
  /** Files only were checked out. */
  readonly isOfFiles: boolean;
  /** There was no HEAD before: a clone, or a new work tree. */
  readonly isFirst: boolean;
  readonly isLinked: boolean;
  readonly branch: string | null;
  readonly during: string | null;
}

/** Is this checkout one that the database follows? First match wins. */
export const checkoutRows = [
  { id: 'auto-is-off', when: ({ isOn }) => !isOn, then: 'ignore', words: '`dbkit snapshot auto on` was not run in this repository' },
  { id: 'auto-of-files', when: ({ isOfFiles }) => isOfFiles, then: 'ignore', words: 'files were checked out, and no branch' },
  {
    id: 'auto-first-checkout',
    when: ({ isFirst }) => isFirst,
    then: 'ignore',
    words: 'it is the first checkout of a clone or a work tree',
  },
  {
    id: 'auto-other-work-tree',
    when: ({ isLinked }) => isLinked,
    then: 'ignore',
    words: 'the database follows the first work tree of the repository, and this is another',
  },
  { id: 'auto-detached', when: ({ branch }) => branch === null, then: 'ignore', words: 'HEAD is detached' },
  { id: 'auto-during', when: ({ during }) => during !== null, then: 'ignore', words: 'git is in the middle of something: {during}' },
  { id: 'auto-branch', when: () => true, then: 'follow', words: 'the branch {branch} is checked out' },
] as const satisfies readonly Row<CheckoutFacts, 'follow' | 'ignore'>[];
