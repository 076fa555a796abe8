/**
 * The names that PostgreSQL writes at the top of a data directory (storage chapter "Database File Layout"; basebackup.c names the rest). Everything
 * else there is somebody else's: notes, keys, what editors and file systems leave.
 */
const own =
  /^(base|global|pg_[a-z_]+|PG_VERSION|postgresql\.auto\.conf(\.tmp)?|postmaster\.(pid|opts)|(backup_label|tablespace_map)(\.old)?|backup_manifest(\.tmp)?|(recovery|standby)\.signal|recovery\.(conf|done)|current_logfiles(\.tmp)?|log|dbkit\.initializing|\.dbkit)(\/|$)/;

/** True for `path`, relative to PGDATA, where it is a file or folder that the server must be able to write. Pure. */
export const isPostgresqls = (path: string): boolean => own.test(path);

/** Configuration that the server only reads: it may belong to root and be mounted read-only. Pure. */
export const isOnlyRead = (path: string): boolean => /^(postgresql|pg_hba|pg_ident)\.conf$/.test(path);
