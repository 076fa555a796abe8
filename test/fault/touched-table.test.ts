import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { disaster } from './disaster.ts';
import { takeBackup } from './take-backup.ts';

disaster({
  name: 'somebody has touched a table and a transaction status file, and there is a backup',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'clean',
  prepare: takeBackup,
  break: async ({ dataDir, places }) => {
    for (const path of [places.ledger, 'pg_xact/0000', 'PG_VERSION']) await utimes(join(dataDir, path), new Date(), new Date());
  },
  expect: { finding: 'times.differ', quarantine: 'none' },
});
