/** Clients may meet the server the moment it is up, or not yet. 'closed': it listens on a private socket until the verdict. */
export type Door = 'open' | 'closed';

/** Facts that are known of the data before the server is started. */
export interface DoorFacts {
  /** A dump is to be loaded into it first. */
  readonly awaitsDump: boolean;
  /** dbkit has just made it. */
  readonly isNew: boolean;
  /** standby.signal is there. */
  readonly isStandby: boolean;
  /** It was shut down cleanly, and the inventory of that moment names every file as it is now. */
  readonly isProven: boolean;
  /** pg_control says `shut down`, and the inspection found nothing. */
  readonly isSound: boolean;
  /** Something is there that could take its place. */
  readonly hasBackup: boolean;
  /** An earlier round of this start has judged it, and nothing was changed since. */
  readonly isJudged: boolean;
}

interface DoorRow {
  readonly id: string;
  readonly when: (facts: DoorFacts) => boolean;
  readonly then: Door;
  readonly words: string;
}

/**
 * First match wins. A closed door costs one more start of the server, some tens of milliseconds, and is what keeps clients from writing into data
 * that is replaced a moment later: so it is closed wherever the verdict could still be another one.
 */
export const doorRows: readonly DoorRow[] = [
  { id: 'dump-to-load', when: ({ awaitsDump }) => awaitsDump, then: 'closed', words: 'clients meet it when its dump is loaded' },
  { id: 'judged', when: ({ isJudged }) => isJudged, then: 'open', words: 'every database was asked, behind a closed door' },
  { id: 'new-cluster', when: ({ isNew }) => isNew, then: 'open', words: 'a new cluster holds nothing yet' },
  { id: 'standby', when: ({ isStandby }) => isStandby, then: 'open', words: 'a standby accepts no writes, and is never replaced here' },
  { id: 'proven', when: ({ isProven }) => isProven, then: 'open', words: 'every file is as the last clean shutdown left it' },
  {
    id: 'nothing-to-replace-it',
    when: ({ isSound, hasBackup }) => isSound && !hasBackup,
    then: 'open',
    words: 'it was shut down cleanly, nothing was found, and there is no backup that could take its place',
  },
  { id: 'not-judged-yet', when: () => true, then: 'closed', words: 'clients meet it when every database has answered' },
];

/** The row that decides. Pure. */
export const doorFor = (facts: DoorFacts): Omit<DoorRow, 'when'> => doorRows.find(({ when }) => when(facts))!; // The last row always matches.
