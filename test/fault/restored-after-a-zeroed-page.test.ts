import { zeroPage } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { takeBackup } from './take-backup.ts';

disaster({
  name: 'a page of a user’s table was zeroed, which its checksum does not show, and there is a backup',
  section: 'C',
  detectedBefore: true,
  healedBy: 'restore',
  rowsLost: 'none: the WAL since the backup is there',
  left: 'clean',
  prepare: takeBackup,
  break: async (instance) => zeroPage(instance, instance.places.ledger, 3),
  expect: { finding: 'relation.changed', quarantine: 'whole' },
});
