/**
 * The names that PostgreSQL writes at the top of a data directory (storage chapter "Database File Layout"; basebackup.c names the rest). Everything
 * else there is somebody else's: notes, keys, what editors and file systems leave.
 */
const own =
  /^(base|global|pg_[a-z_]+|PG_VERSION|postgresql\.auto\.conf(\.tmp)?|postmaster\.(pid|opts)|(backup_label|tablespace_map)(\.old)?|backup_manifest(\.tmp)?|(recovery|standby)\.signal|recovery\.(conf|done)|current_logfiles(\.tmp)?|log|dbkit\.initializing|\.dbkit)(\/|$)/;

/** True for `path`, relative to PGDATA, where it is a file or folder that the server must be able to write. Pure. */
export const isPostgresqls = (path: string): boolean => own.test(path);

/** Files that a start, crash recovery or a session opens: of a pipe in their place PostgreSQL would wait without end (open(2)). */
const opened = new RegExp(
  `^(${[
    'PG_VERSION|postgresql(\\.auto)?\\.conf|pg_(hba|ident)\\.conf|postmaster\\.opts|backup_label|tablespace_map',
    'global/pg_control|(global|base/\\d+)/(PG_VERSION|pg_filenode\\.map|\\d+(_[a-z]+)?(\\.\\d+)?)',
    'pg_tblspc/\\d+/[^/]+/\\d+/\\d+(_[a-z]+)?(\\.\\d+)?',
    'pg_(xact|subtrans|commit_ts|multixact/(members|offsets)|twophase)/[0-9A-F]+',
    'pg_wal/([0-9A-F]{24}|[0-9A-F]{8}\\.history)|pg_replslot/[^/]+/state|pg_logical/replorigin_checkpoint',
  ].join('|')})$`,
);

/** True for `path`, relative to PGDATA, where the server opens it as a file. Pure. */
export const isOpenedAsFile = (path: string): boolean => opened.test(path);

/** Configuration that the server only reads: it may belong to root and be mounted read-only. Pure. */
export const isOnlyRead = (path: string): boolean => /^(postgresql|pg_hba|pg_ident)\.conf$/.test(path);
