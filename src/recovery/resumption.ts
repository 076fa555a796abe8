/** The pieces that are left of a replacement that was cut off: the journal, and where the pieces are. */
export interface Remains {
  /** 'broken': it is there and cannot be read. */
  readonly journal: 'whole' | 'broken' | 'none';
  /** It names a folder that is neither dbkit's in PGDATA nor in a quarantine: somebody else wrote it, or BACKUP_DIR was another one. */
  readonly leadsOutside: boolean;
  /** The replacement that the journal says was under way; undefined where it says nothing. */
  readonly phase: 'set-aside' | 'publish' | undefined;
  /** PGDATA has a `global`: it is the first to be set aside and the last to be published. */
  readonly globalInPlace: boolean;
  /** Everything of the new cluster is there, in its folder or published already; true where none was to follow. */
  readonly sourceWhole: boolean;
  /** The folder with the data that was set aside has a `global`. */
  readonly asideHasGlobal: boolean;
  /** PGDATA held nothing when the replacement began. */
  readonly nothingReplaced: boolean;
  /** The parts in PGDATA and what was set aside make one cluster together, and nothing is there twice. */
  readonly complement: boolean;
  /** The parts in PGDATA and what a new cluster's folder still holds make one cluster together, and nothing is there twice. */
  readonly halfPublished: boolean;
  /** PGDATA holds nothing of a cluster. */
  readonly empty: boolean;
}

/** 'put-back': what was set aside returns, and whatever of a new cluster is in its place is kept beside it. 'forget': nothing is under way. */
export type Resumption = 'go-on' | 'publish' | 'put-back' | 'forget' | 'refuse';

interface Row {
  readonly id: string;
  readonly when: (remains: Remains) => boolean;
  readonly then: Resumption;
  readonly words: string;
}

/** First match wins. Nothing is ever set aside a second time, and half of a cluster is never taken for an empty directory. */
export const resumptions: readonly Row[] = [
  {
    id: 'nothing-under-way',
    when: ({ journal, globalInPlace }) => journal === 'none' && globalInPlace,
    then: 'forget',
    words: 'no replacement is unfinished',
  },
  {
    id: 'leads-outside',
    when: ({ leadsOutside }) => leadsOutside,
    then: 'refuse',
    words: 'the journal of an earlier replacement names a folder outside PGDATA and BACKUP_DIR, and it is obeyed only for folders in them',
  },
  {
    id: 'goes-on',
    when: ({ journal, sourceWhole }) => journal === 'whole' && sourceWhole,
    then: 'go-on',
    words: 'an earlier run was stopped while it replaced the data; finishing that first',
  },
  {
    id: 'published',
    when: ({ journal, phase, globalInPlace }) => journal === 'whole' && phase === 'publish' && globalInPlace,
    then: 'go-on',
    words: 'an earlier run had replaced the data and was stopped before it said so',
  },
  {
    id: 'never-began',
    when: ({ journal, globalInPlace }) => journal !== 'none' && globalInPlace,
    then: 'forget',
    words: 'a replacement that was planned never began, and what was to follow is gone: the data stays',
  },
  {
    id: 'source-gone',
    when: ({ journal, asideHasGlobal }) => journal === 'whole' && asideHasGlobal,
    then: 'put-back',
    words: 'the new cluster of a replacement that was cut off is gone; the data that was set aside for it is put back',
  },
  {
    id: 'nothing-replaced',
    when: ({ journal, nothingReplaced }) => journal === 'whole' && nothingReplaced,
    then: 'put-back',
    words: 'a new cluster that was being put in place is gone in part; what is left of it is kept beside, and the directory is empty again',
  },
  {
    id: 'half-set-aside',
    when: ({ complement }) => complement,
    then: 'put-back',
    words: 'a replacement was cut off and its journal is lost; the half that was set aside is put back',
  },
  {
    id: 'half-published',
    when: ({ halfPublished }) => halfPublished,
    then: 'publish',
    words: 'a replacement was cut off and its journal is lost; the rest of the new cluster follows',
  },
  {
    id: 'journal-lost',
    when: ({ journal, empty, asideHasGlobal }) => journal === 'broken' && empty && asideHasGlobal,
    then: 'put-back',
    words: 'a replacement was cut off and its journal cannot be read; the data that was set aside is put back',
  },
  {
    id: 'aside-gone',
    when: ({ journal }) => journal === 'whole',
    then: 'refuse',
    words: 'a replacement was cut off, its new cluster is gone, and the data that was set aside is not where the journal says',
  },
  { id: 'no-trace', when: () => true, then: 'forget', words: 'no journal tells of a replacement' },
];

/** The decision on a replacement that was cut off, with the reason. */
export const resume = (remains: Remains): Row => resumptions.find(({ when }) => when(remains))!; // The last row always matches.
