import type { ControlFile } from '../formats/control-file.ts';
import { formatLsn, type Lsn } from '../formats/wal-segment.ts';

export const FIRST_USER_OID = 16_384; // FirstNormalObjectId (src/include/access/transam.h)

/** Evidence against a pg_control whose checksum is right, each from another witness. */
export interface Witnesses {
  readonly control: Pick<ControlFile, 'systemIdentifier' | 'state' | 'checkpointLsn' | 'nextOid'>;
  /** The owners of the WAL in pg_wal; empty where there is none, or where that was not worth asking. */
  readonly walOf: readonly string[];
  /** The segment of its checkpoint is there, and is this cluster's. */
  readonly hasItsWal: boolean;
  /** Records follow its shutdown checkpoint. */
  readonly walGoesOn: boolean;
  /** There are files of objects that a user made. */
  readonly hasUserFiles: boolean;
  /** A page bears a position behind its shutdown checkpoint; undefined where that was not worth asking. */
  readonly newerPage: string | undefined;
  /** The note of this directory, by whichever cluster. */
  readonly noted: { readonly systemIdentifier: string; readonly lsn: Lsn } | undefined;
}

/** 'anothers': another cluster's. 'outdated': this cluster's, of an earlier time. 'contradicted': only dbkit's own notes say so. */
export type Verdict = 'anothers' | 'outdated' | 'contradicted';

interface Row {
  readonly id: string;
  readonly when: (seen: Witnesses) => boolean;
  readonly then: Verdict;
  /** `{name}` stands for a figure of `figuresOf`. */
  readonly words: string;
}

const isShutDown = ({ control }: Witnesses): boolean => control.state === 'shut down';

/** First match wins: the data's own bytes before what dbkit noted. */
export const contradictions: readonly Row[] = [
  {
    id: 'wal-of-another-cluster',
    when: ({ walOf, control, noted }) =>
      walOf.length > 0 && !walOf.includes(control.systemIdentifier) && noted !== undefined && walOf.includes(noted.systemIdentifier),
    then: 'anothers',
    words: 'it is another cluster’s: its system identifier is {own}, that of the WAL {ofWal}',
  },
  {
    id: 'wal-goes-on',
    when: (seen) => isShutDown(seen) && seen.walGoesOn,
    then: 'outdated',
    words: 'it is older than the WAL, which goes on behind its shutdown checkpoint at {stoppedAt}',
  },
  {
    id: 'never-held-an-object',
    when: (seen) => isShutDown(seen) && !seen.hasItsWal && seen.control.nextOid <= FIRST_USER_OID && seen.hasUserFiles,
    then: 'anothers',
    words: 'it is of a cluster in which nobody has ever made an object, and here are files of such objects',
  },
  {
    id: 'newer-page',
    when: (seen) => isShutDown(seen) && seen.newerPage !== undefined,
    then: 'anothers',
    words: 'it says that the server stopped at {stoppedAt}, and {newerPage}',
  },
  {
    id: 'wal-of-nobody-known',
    when: ({ walOf, control, noted }) =>
      walOf.length > 0 && !walOf.includes(control.systemIdentifier) && noted?.systemIdentifier !== control.systemIdentifier,
    then: 'contradicted',
    words: 'its system identifier is {own}, that of the WAL {ofWal}, and nothing tells which of the two is this cluster’s',
  },
  {
    id: 'noted-of-another-cluster',
    when: ({ hasItsWal, noted, control }) => !hasItsWal && noted !== undefined && noted.systemIdentifier !== control.systemIdentifier,
    then: 'contradicted',
    words: 'its system identifier is {own}, that of the cluster that ran here last {ofLast}, and there is no WAL that tells which is right',
  },
  {
    id: 'noted-later',
    when: (seen) => isShutDown(seen) && !seen.hasItsWal && seen.noted !== undefined && seen.noted.lsn > seen.control.checkpointLsn,
    then: 'contradicted',
    words: 'it says that the server stopped at {stoppedAt}, but its WAL had come to {cameTo}, and that is gone',
  },
];

/** The figures that the words name. */
export const figuresOf = ({ control, walOf, newerPage, noted }: Witnesses): Readonly<Record<string, string | undefined>> => ({
  own: control.systemIdentifier,
  ofWal: walOf[0],
  stoppedAt: formatLsn(control.checkpointLsn),
  newerPage,
  ofLast: noted?.systemIdentifier,
  cameTo: noted && formatLsn(noted.lsn),
});
