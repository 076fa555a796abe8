import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { expectRowsOfTheBackup, takeBackup } from './take-backup.ts';

disaster({
  name: 'the WAL is gone after a crash, and there is a backup',
  section: 'C',
  detectedBefore: true,
  healedBy: 'restore',
  rowsLost: 'those committed after the backup, until the quarantine is salvaged',
  left: 'crashed',
  prepare: takeBackup,
  break: async (instance) => remove(instance, 'pg_wal'),
  expect: {
    finding: 'wal-directory.missing',
    rows: expectRowsOfTheBackup,
    lost: /committed after/,
    losses: ['window'],
    quarantine: 'whole',
  },
});
