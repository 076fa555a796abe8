/**
 * One defect seen in a data directory. The codes are a contract: `--json`, the docs' table and the fault tests name them.
 * `certain`: the defect is proven (a file that must exist does not). `suspect`: crash recovery may still mend it (PostgreSQL's WAL can
 * recreate or overwrite the file), so the server is tried first.
 */
export interface Finding {
  readonly code: FindingCode;
  /** Relative to PGDATA; '.' is PGDATA itself. */
  readonly path: string;
  /** The evidence with its numbers: 'size 0, expected 8192'. */
  readonly evidence: string;
  readonly severity: 'info' | 'suspect' | 'certain';
  /** The server's own words when it meets this, where it says anything. */
  readonly postgresSays?: string;
  /** The table or index whose file this is, where the server could name it. */
  readonly relation?: RelationName;
  /**
   * dbkit itself has seen it beside the running server. 'files': its file is gone or short, by what the catalogs name; it need not be seen again to
   * be true. 'pages': in pages that the server may have been writing; they are read once more when it is stopped, before anything is replaced.
   */
  readonly seenIn?: 'files' | 'pages';
  /** Which blocks of the file, where it is about pages. */
  readonly blocks?: readonly number[];
  /** About how many rows those held. */
  readonly rows?: number;
  /** The file is there and holds nothing, of a catalog that no session can do without: the server reads it so without a word. */
  readonly isEmpty?: true;
}

/** A table or index as the server names it: `name` with its schema, unless it is a system catalog. */
export interface RelationName {
  readonly database: string;
  readonly name: string;
}

/** Damage that was found and not mended: it stays known, whatever is started or stopped, until it is mended or a person accepts it. */
export interface KnownDamage {
  readonly code: FindingCode;
  readonly path: string;
  readonly evidence: string;
  /** 'suspect': seen beside a crash, and not settled yet. */
  readonly severity: 'suspect' | 'certain';
  readonly blocks?: readonly number[] | undefined;
  /** Of a suspect: where it ended, how many blocks it held before that, and when. */
  readonly cut?: { readonly fromBlock: number; readonly toBlock: number; readonly since?: string | undefined } | undefined;
  readonly since: string;
  /** The relation it belongs to, as far as a server could say: `public.ledger` in `shop`. */
  readonly database?: string | undefined;
  readonly relation?: string | undefined;
  readonly oid?: number | undefined;
  /** About how many rows were in what is lost. */
  readonly rows?: number | undefined;
  readonly acceptedAt?: string | undefined;
  /** A person has brought the data back with it: it is told, and no start replaces the data for it. */
  readonly undoneAt?: string | undefined;
}

/** The defects that inspection and triage can find. Each row: what it means, in one phrase for people. Section letters are those of the docs' table. */
export const findingCodes = {
  // A: not corruption
  'server.running': 'a PostgreSQL server is running on this directory',
  'pid.stale': 'postmaster.pid was left behind by a server that is gone',
  'data.empty': 'the directory holds no database yet',
  'data.foreign': 'the directory holds something that is not a PostgreSQL database',
  'data.unfinished': 'an initialisation was interrupted here',
  'version.mismatch': 'the data belongs to another major version',
  'owner.wrong': 'the files belong to another user',
  'mode.wrong': 'the permissions are not 0700 or 0750',
  'shutdown.unclean': 'the server was not shut down cleanly; it replays its WAL',
  'times.differ': 'files bear another time than at the last clean shutdown: copied, unpacked or touched',
  'inventory.missing': 'the inventory of the last clean stop is gone, and no checksums prove the files',
  'volume.full': 'the volume is full',
  'volume.read-only': 'the volume cannot be written',
  'file.unreadable': 'the disk answers with an error where a file is read',
  'entry.foreign': 'a file that is not PostgreSQL’s belongs to another user; it is left as it is',
  'data.unmounted': 'the directory is empty, and the volume that it lay on is not mounted',
  'data.emptied': 'the directory was emptied while a server runs on it',
  'entry.no-file': 'a pipe, a socket or a device stands where the server opens a file',
  'upgrade.old-half': 'the old half of a pg_upgrade --link: its files belong to the new directory too',
  'conf.elsewhere': 'a configuration file makes the server serve another directory',
  'server.settings': 'a setting cannot be satisfied on this machine',
  // B: one right answer
  'directory.missing': 'a directory that is normally empty is missing',
  'conf.missing': 'a configuration file is missing',
  'conf.broken': 'a configuration file cannot be parsed',
  'version-file.broken': 'a PG_VERSION file is missing or broken',
  'catalog-index.damaged': 'an index of a system catalog is missing or damaged',
  'index.damaged': 'an index is missing or damaged',
  'cache.damaged': 'a file that PostgreSQL rebuilds by itself is damaged',
  'control.outdated': 'pg_control is older than the WAL beside it',
  'control.contradicted': 'pg_control is contradicted by what was noted of this cluster',
  'control.damaged': 'pg_control is missing or damaged',
  'filenode-map.damaged': 'a pg_filenode.map is missing or damaged',
  'slru.damaged': 'a transaction status file is missing or damaged',
  'wal.missing': 'the WAL that the last checkpoint needs is missing',
  'wal.damaged': 'the WAL that the last checkpoint needs is damaged',
  'wal.gap': 'WAL is missing or damaged in the middle of what crash recovery must replay',
  'wal.short': 'recovery ended before the WAL that was known to be there',
  'wal.unmarked': 'nobody had noted how far the WAL had come',
  'wal-directory.missing': 'pg_wal is missing',
  'wal-link.dangling': 'pg_wal is a link that leads nowhere',
  'prepared.damaged': 'the state file of a prepared transaction is missing or damaged',
  'signal.stray': 'a recovery signal file is present that no restore of dbkit put there',
  'backup-label.stray': 'a backup_label is present that contradicts the control file',
  'tablespace.dangling': 'a tablespace link leads nowhere',
  'tablespace.unlinked': 'the link of a tablespace is gone, and its files are where they were',
  'tablespace.junk': 'something that is no tablespace lies in pg_tblspc',
  'replication-slot.damaged': 'the state of a replication slot is damaged',
  'replication-origin.damaged': 'the progress of the replication origins is damaged',
  // C: needs other bytes
  'catalog.missing': 'a system catalog is missing',
  'empty-file.missing': 'a file that held nothing is missing',
  'relation.folder': 'a folder stands in the place of a table or index file',
  'init-fork.folder': 'a folder stands where crash recovery makes the init fork of a young unlogged relation',
  'relation.missing': 'a table or index file is missing',
  'relation.truncated': 'a table or index file has lost its end',
  'relation.changed': 'a file has changed since the last clean shutdown, when only the server may change it',
  'page.damaged': 'a page fails its checksum or header check',
  'page.lost': 'a page is neither as the newest backup holds it nor as the WAL since says',
  'page.unknown': 'a page before the last one in use holds zeroes, and neither a backup nor the WAL says if it should',
  'database.missing': 'the directory of a database is missing',
  'relation.touched': 'a table or index was written to while no server ran, and neither a backup nor the WAL tells what it held',
  'database.file': 'a file stands in the place of the directory of a database',
  'directory.lost': 'a directory with data is missing',
} as const;

export type FindingCode = keyof typeof findingCodes;

/** The first word of a code: where the damage lies. */
export type FindingFamily = FindingCode extends `${infer Family}.${string}` ? Family : never;

/** True for a code of one of these families. Pure. */
export const isOf = (code: FindingCode, ...families: readonly FindingFamily[]): boolean =>
  families.some((family) => code.startsWith(`${family}.`));

/** Seen before a start, and not shown by any page after it: written down before anything is done about it. */
export const outlivesPages = ({ code, path }: { readonly code: FindingCode; readonly path: string }): boolean =>
  code === 'relation.touched' || (code === 'relation.folder' && path.endsWith('_init'));

/** Files of which nobody can tell what they held. */
export const touchedFiles = (findings: readonly Finding[]): readonly Finding[] =>
  findings.filter(({ code }) => code === 'relation.touched');
