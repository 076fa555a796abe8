import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { takeBackup } from './take-backup.ts';

disaster({
  name: 'the directory of a database is gone, and there is a backup',
  section: 'C',
  detectedBefore: true,
  healedBy: 'restore',
  rowsLost: 'none: the WAL since the backup is there',
  left: 'clean',
  prepare: takeBackup,
  break: async (instance) => remove(instance, instance.places.archive),
  expect: { finding: 'database.missing', quarantine: 'whole' },
});
