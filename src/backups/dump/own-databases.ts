/** By this name, which nobody else gives, a database is known that a killed restore left behind; one that is whole bears its own. */
export const TEMPORARY = 'dbkit_restore_';

/** SQL of a row of pg_database: a killed restore has left it. */
export const IS_LEFT = `datname ~ '^${TEMPORARY}[0-9]{8}_[0-9]{6}$'`;

/** SQL of a row of pg_database `d`: a snapshot of dbkit's (snapshots/snapshot.ts), by its name and its comment. */
export const IS_SNAPSHOT = `(datname ~ '^dbkit_snapshot_[0-9]{8}_[0-9]{6}$'
           AND coalesce(pg_catalog.shobj_description(d.oid, 'pg_database'), '') LIKE '{"schema":"dbkit.snapshot/%')`;
