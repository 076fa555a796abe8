import { overwritePage } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { takeBackup } from './take-backup.ts';

disaster({
  name: 'dd went over a page of a user’s table, and there is a backup',
  section: 'C',
  detectedBefore: true,
  healedBy: 'restore',
  rowsLost: 'none: the WAL since the backup is there',
  left: 'clean',
  prepare: takeBackup,
  break: async (instance) => overwritePage(instance, instance.places.ledger, 3),
  expect: { finding: 'relation.changed', quarantine: 'whole' },
});
