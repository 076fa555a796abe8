import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { disaster } from './disaster.ts';

/** Directories that a clean shutdown leaves empty, deepest first; git, zip and S3 keep no empty directories. */
const empty = [
  ...['pg_wal/archive_status', 'pg_wal/summaries', 'pg_logical/snapshots', 'pg_logical/mappings', 'pg_notify', 'pg_serial', 'pg_snapshots'],
  ...['pg_twophase', 'pg_stat_tmp', 'pg_replslot', 'pg_tblspc', 'pg_dynshmem', 'pg_commit_ts'],
];

disaster({
  name: 'a copy has lost all empty directories',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: async ({ dataDir }) => {
    for (const path of empty) await rmdir(join(dataDir, path)).catch(() => undefined); // Not every major has, or empties, every one.
  },
  postgresSays: /could not open directory "pg_/,
  expect: { finding: 'directory.missing' },
});
