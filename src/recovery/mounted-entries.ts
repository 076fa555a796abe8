/** Something that is mounted below PGDATA, where the data shall be replaced: a mount point cannot be renamed. */
export interface Mounted {
  /** Relative to PGDATA. */
  readonly path: string;
  readonly kind: 'file' | 'directory';
}

/** 'stays': it is left as it is, and the new cluster has it too. 'contents': what it holds is moved, not itself. */
export type Handling = 'stays' | 'contents' | 'refuse';

interface Row {
  readonly id: string;
  readonly when: (mounted: Mounted) => boolean;
  readonly then: Handling;
  readonly words: string;
}

/** Files that a replacement must be able to change, or that belong to one cluster. */
const mustChange = ({ path }: Mounted): boolean =>
  /^(PG_VERSION|postgresql\.auto\.conf|postmaster\.(pid|opts)|backup_label|tablespace_map|.*\.signal)$/.test(path);
const isTop = ({ path }: Mounted): boolean => !path.includes('/');
/** Directories of PostgreSQL's that hold data of one cluster, and dbkit's own, which its renames start from. */
const holdsData = ({ path }: Mounted): boolean => /^(base|global|pg_(?!wal$|log$)[a-z_]+|\.dbkit)$/.test(path);

/** First match wins. What is mounted deeper would go with the directory around it, and come back to another cluster at the next mount. */
export const mountedEntries: readonly Row[] = [
  {
    id: 'wal-volume',
    when: ({ path, kind }) => path === 'pg_wal' && kind === 'directory',
    then: 'contents',
    words: 'pg_wal is a volume of its own: what it holds is moved',
  },
  {
    id: 'data-of-one-cluster',
    when: (mounted) => holdsData(mounted) || mustChange(mounted),
    then: 'refuse',
    words: 'data of one cluster is mounted there, and a mount point cannot be renamed',
  },
  {
    id: 'mounted-file',
    when: (mounted) => isTop(mounted) && mounted.kind === 'file',
    then: 'stays',
    words: 'a file that is mounted there is for every cluster',
  },
  { id: 'other-folder', when: isTop, then: 'stays', words: 'a folder that is mounted there and holds no data of the cluster stays' },
  { id: 'deeper', when: () => true, then: 'refuse', words: 'what is mounted deeper would go with the directory around it' },
];

/** How a replacement deals with one mount point. */
export const handlingOf = (mounted: Mounted): Handling => mountedEntries.find(({ when }) => when(mounted))!.then;
