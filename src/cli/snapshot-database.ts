import type { Config } from '../config/config.ts';

/** Every verb of snapshots is about one database. */
export interface SnapshotFlags {
  readonly database?: string;
}

export const DATABASE_FLAG = ['--database <name>', 'the database (default: the application’s)'] as const;

export const databaseOf = ({ database }: SnapshotFlags, { postgresql: { username, database: own = username } }: Config): string =>
  database ?? own;
