import { decide, type Row } from '../../../kernel/reasons.ts';

/** How a file that changed since the earlier backup gets into the new one. */
export type Strategy = 'whole' | 'clone' | 'delta';

export interface StrategyFacts {
  readonly sizeBytes: number;
  /** `backup.pagesFrom`: below it a file is copied whole. */
  readonly fromBytes: number;
  /** The earlier backup has it, and it is plain there. */
  readonly hasEarlier: boolean;
  /** The file system shares blocks between files. */
  readonly sharesBlocks: boolean;
  /** The new backup is good, as far as is known. */
  readonly isGood: boolean;
  /** A pinned backup that has the earlier file; '' where none has. */
  readonly pinned: string;
  /** Links to the earlier file, and how many of them are of backups. */
  readonly links: number;
  readonly ours: number;
  /** The kernel knows who reads a backup: without flock(1) nobody can tell. */
  readonly knowsReaders: boolean;
  /** A backup that has the earlier file and is being read; '' where none is. */
  readonly reader: string;
}

type Rule = Row<StrategyFacts, Strategy>;

/**
 * First match wins. Asked before a file is copied, and once more before pages of the earlier file are written over; where most of it turns out to
 * have changed it is copied whole in between.
 */
const rows = [
  {
    id: 'small-file',
    when: ({ sizeBytes, fromBytes }) => sizeBytes < fromBytes,
    then: 'whole',
    words: 'it is smaller than backup.pagesFrom, {fromBytes} bytes',
  },
  {
    id: 'no-earlier-file',
    when: ({ hasEarlier }) => !hasEarlier,
    then: 'whole',
    words: 'the earlier backup does not have it as a plain file',
  },
  {
    id: 'shares-blocks',
    when: ({ sharesBlocks }) => sharesBlocks,
    then: 'clone',
    words: 'the file system shares blocks between files, so the new file is a clone of the earlier one with other pages',
  },
  {
    id: 'new-one-is-not-good',
    when: ({ isGood }) => !isGood,
    then: 'whole',
    words: 'the new backup is not good, so the earlier one stays plain',
  },
  { id: 'pinned-one-has-it', when: ({ pinned }) => pinned !== '', then: 'whole', words: '{pinned} has it, is pinned, and stays plain' },
  {
    id: 'linked-elsewhere',
    when: ({ links, ours }) => links !== ours,
    then: 'whole',
    words: 'the earlier file has {links} links, and {ours} of them are of backups',
  },
  {
    id: 'readers-not-known',
    when: ({ knowsReaders }) => !knowsReaders,
    then: 'whole',
    words: 'without flock(1) nobody can tell whether the earlier file is being read',
  },
  {
    id: 'earlier-one-is-read',
    when: ({ reader }) => reader !== '',
    then: 'whole',
    words: '{reader} has it and is being read at this moment',
  },
  { id: 'earlier-keeps-its-pages', when: () => true, then: 'delta', words: 'the earlier backup keeps the pages that it had' },
] as const satisfies readonly Rule[];

export type StrategyId = (typeof rows)[number]['id'];
export const strategies: readonly (Rule & { readonly id: StrategyId })[] = rows;

/** Pure. */
export const chooseStrategy = (facts: StrategyFacts): { readonly id: StrategyId; readonly then: Strategy; readonly words: string } =>
  decide(strategies, facts);
