import type { Row } from '../../kernel/reasons.ts';

/** The places that hold the data, for the rule of three copies on two media with one elsewhere. */
export interface PlaceFacts {
  readonly role: 'data' | 'repository' | 'copy';
  /** Same text, same medium: a file system, or a bucket. Null where that is not known. */
  readonly medium: string | null;
  /** On another machine. */
  readonly offHost: boolean;
  /** Something that could be restored is there. */
  readonly holds: boolean;
}

export interface CopiesScore {
  readonly copies: number;
  readonly media: number;
  readonly offHost: number;
}

export interface ScoreFacts extends CopiesScore {
  /** The repository is on the file system of the data. */
  readonly isShared: boolean;
}

/** Every row that matches is told. */
export const scoreRows = [
  {
    id: 'repository-beside-the-data',
    when: ({ isShared }) => isShared,
    then: 'tell',
    words: 'the repository is on the file system of the data: one disk takes both',
    next: 'set BACKUP_DIR to another volume, or add a place to `copies:`',
  },
  {
    id: 'fewer-than-three-copies',
    when: ({ copies }) => copies < 3,
    then: 'tell',
    words: 'there are {copies} of 3 copies, the data counted',
    next: 'add a place to `copies:` in dbkit.yaml, then `dbkit backup copy`',
  },
  {
    id: 'fewer-than-two-media',
    when: ({ media }) => media < 2,
    then: 'tell',
    words: 'all of them are on one medium',
    next: 'add a place on another disk, or a bucket',
  },
  {
    id: 'no-copy-elsewhere',
    when: ({ offHost }) => offHost < 1,
    then: 'tell',
    words: 'no copy is on another machine',
    next: 'add a bucket, or a mount of another machine, to `copies:`',
  },
] as const satisfies readonly (Row<ScoreFacts, 'tell'> & { readonly next: string })[];

/** Pure. A place that holds nothing counts for nothing. */
export function scoreOf(places: readonly PlaceFacts[]): ScoreFacts {
  const held = places.filter(({ holds }) => holds);
  const mediumOf = (role: PlaceFacts['role']): string | null => places.find((place) => place.role === role)?.medium ?? null;
  return {
    copies: held.length,
    media: new Set(held.map(({ medium }) => medium).filter((medium) => medium !== null)).size,
    offHost: held.filter(({ offHost }) => offHost).length,
    isShared: mediumOf('data') !== null && mediumOf('data') === mediumOf('repository'),
  };
}
