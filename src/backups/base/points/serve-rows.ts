import type { Row } from '../../../kernel/reasons.ts';

/** The facts of one base backup when it is told whether it serves a moment. */
export interface ServeFacts {
  readonly ownCluster: boolean;
  readonly good: boolean;
  /** Its end is on the way to the timeline that is asked for. */
  readonly onTheWay: boolean;
  /** It is the one that a restore would take. */
  readonly chosen: boolean;
  /** It is newer than that one, or its end is known to be behind the moment. */
  readonly endsBehind: boolean;
  /** A newer backup serves. */
  readonly olderThanChosen: boolean;
}

/** Does this base backup serve the moment? First match wins. */
export const serveRows = [
  { id: 'serves-the-moment', when: ({ chosen }) => chosen, then: 'serves', words: 'the newest good backup that ended before the moment' },
  { id: 'backup-of-another-cluster', when: ({ ownCluster }) => !ownCluster, then: 'does not', words: 'it is of another cluster' },
  { id: 'backup-is-damaged', when: ({ good }) => !good, then: 'does not', words: 'it is damaged' },
  {
    id: 'backup-off-the-timeline',
    when: ({ onTheWay }) => !onTheWay,
    then: 'does not',
    words: 'it ended where the timeline of the moment does not lead',
  },
  { id: 'backup-ended-later', when: ({ endsBehind }) => endsBehind, then: 'does not', words: 'it ended after the moment' },
  {
    id: 'backup-older-than-needed',
    when: ({ olderThanChosen }) => olderThanChosen,
    then: 'is not needed',
    words: 'a newer backup serves, with less WAL to replay',
  },
  { id: 'backup-without-the-way', when: () => true, then: 'does not', words: 'the WAL behind it does not lead to the moment' },
] as const satisfies readonly Row<ServeFacts, 'serves' | 'does not' | 'is not needed'>[];
