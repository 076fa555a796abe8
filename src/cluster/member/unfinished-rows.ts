import { decide, type Row } from '../../kernel/reasons.ts';

/** Data that may be half of a cluster which was to be begun here. */
export interface UnfinishedFacts {
  /** dbkit has started Patroni on an empty directory, and its server has never been ready since. */
  readonly isBegunHere: boolean;
  readonly isEmpty: boolean;
  /** initdb, or a bootstrap of dbkit's, still ran when it was looked at. */
  readonly wasMaking: boolean;
  /** The system identifier says when initdb made it; null: there is no control file that can be read. */
  readonly madeBeforeBegun: boolean | null;
  /** Patroni's mark in the store: 'taken' while one member makes the cluster, 'made' or 'made-other' when its roles are there and it may lead. */
  readonly mark: 'none' | 'taken' | 'made' | 'made-other' | 'not-etcd';
  /** Every other member answers, and has nothing: none of them can be the one that makes it. */
  readonly othersHaveNothing: boolean;
}

/** First match wins. Patroni writes 'made' before its member leads for the first time, so until then nobody was ever led to it (ha.py, post_bootstrap). */
export const unfinishedRows = [
  { id: 'bootstrap-not-begun', when: ({ isBegunHere }) => !isBegunHere, then: 'go-on', words: 'no cluster was to be begun on this data' },
  {
    id: 'bootstrap-older-data',
    when: ({ madeBeforeBegun }) => madeBeforeBegun === true,
    then: 'go-on',
    words: 'the data is older than that, so it is other data',
  },
  {
    id: 'bootstrap-overtaken',
    when: ({ mark, madeBeforeBegun }) => mark === 'made-other' && madeBeforeBegun === false,
    then: 'set-aside',
    words: 'its Patroni was ended while it made a cluster, and another member has made one since',
  },
  { id: 'bootstrap-over', when: ({ mark }) => mark !== 'taken', then: 'go-on', words: 'the cluster is made, or its store is not asked' },
  {
    id: 'bootstrap-elsewhere',
    when: ({ isEmpty, wasMaking, othersHaveNothing }) => isEmpty && !wasMaking && !othersHaveNothing,
    then: 'go-on',
    words: 'another member makes the cluster, or may',
  },
  {
    id: 'bootstrap-unfinished',
    when: () => true,
    then: 'begin-again',
    words: 'its Patroni was ended while it made the cluster: nobody was ever led to this data, and every member would wait for it for ever',
  },
] as const satisfies readonly Row<UnfinishedFacts, 'go-on' | 'set-aside' | 'begin-again'>[];

/** Pure. */
export const decideUnfinished = (facts: UnfinishedFacts): (typeof unfinishedRows)[number] => decide(unfinishedRows, facts);
