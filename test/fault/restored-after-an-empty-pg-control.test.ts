import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { takeBackup } from './take-backup.ts';

disaster({
  name: 'pg_control is empty after a crash, and there is a backup',
  section: 'C',
  detectedBefore: true,
  healedBy: 'restore',
  rowsLost: 'none: the WAL since the backup is there',
  left: 'crashed',
  prepare: takeBackup,
  break: async (instance) => truncateTo(instance, 'global/pg_control', 0),
  expect: { finding: 'control.damaged', quarantine: 'whole' },
});
