/** By this name, which nobody else gives, a database is known that a killed restore left behind; one that is whole bears its own. */
export const TEMPORARY = 'dbkit_restore_';

/** SQL of a row of pg_database: a killed restore has left it. */
export const IS_LEFT = `datname ~ '^${TEMPORARY}[0-9]{8}_[0-9]{6}$'`;

/** SQL of a row of pg_database `d`: a snapshot of dbkit's (snapshots/snapshot.ts), by its name and its comment. */
export const IS_SNAPSHOT = `(datname ~ '^dbkit_snapshot_[0-9]{8}_[0-9]{6}$'
           AND coalesce(pg_catalog.shobj_description(d.oid, 'pg_database'), '') LIKE '{"schema":"dbkit.snapshot/%')`;

const LOADER = '^dbkit_loader_[0-9a-f]{16}$';

/** The name of a role that loads rows (loader.ts) begins so. */
export const LOADER_PREFIX = 'dbkit_loader_';

/** True for such a role: it is of one restore, and of no dump. Pure. */
export const isLoader = (role: string): boolean => new RegExp(LOADER).test(role);

/** SQL of a row of pg_roles: a restore works with it, or a killed one has left it. */
export const IS_LOADER = `rolname ~ '${LOADER}'`;
