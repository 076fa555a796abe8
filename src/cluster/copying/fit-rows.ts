import { decide, type Row } from '../../kernel/reasons.ts';

/** A base backup, and the member that its copy is to follow. */
export interface FitFacts {
  readonly isDamaged: boolean;
  readonly isOfThisCluster: boolean;
  readonly isOfThisMajor: boolean;
  /** It ends on the leader's timeline, or on an ancestor before that was left. */
  readonly isOnTheWay: boolean;
  /** All WAL from its end to what the leader keeps is in the archive. */
  readonly isWalThere: boolean;
}

/** May a replica be made of it? First match wins. */
const rows = [
  { id: 'replica-other-cluster', when: ({ isOfThisCluster }) => !isOfThisCluster, then: 'refuse', words: 'it is of another cluster' },
  { id: 'replica-damaged-backup', when: ({ isDamaged }) => isDamaged, then: 'refuse', words: 'it is damaged, or of damaged data' },
  { id: 'replica-other-major', when: ({ isOfThisMajor }) => !isOfThisMajor, then: 'refuse', words: 'it is of another major version' },
  {
    id: 'replica-off-the-timeline',
    when: ({ isOnTheWay }) => !isOnTheWay,
    then: 'refuse',
    words: 'the leader’s timeline was never where it ends',
  },
  {
    id: 'replica-wal-gone',
    when: ({ isWalThere }) => !isWalThere,
    then: 'refuse',
    words: 'WAL between its end and what the leader keeps is not in the archive',
  },
  { id: 'replica-fits', when: () => true, then: 'use', words: 'it leads to the leader' },
] as const satisfies readonly Row<FitFacts, 'use' | 'refuse'>[];

export type FitReason = (typeof rows)[number]['id'];
export const fitRows: readonly (Row<FitFacts, 'use' | 'refuse'> & { readonly id: FitReason })[] = rows;

export const judgeFit = (facts: FitFacts): Row<FitFacts, 'use' | 'refuse'> & { readonly id: FitReason } => decide(fitRows, facts);
