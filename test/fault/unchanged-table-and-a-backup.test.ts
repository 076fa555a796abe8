import { overwritePage, remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { takeBackup } from './take-backup.ts';

disaster({
  name: 'the file of a table that has not changed since the backup is gone, and a page of another is overwritten',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none: the backup holds the very bytes of the last clean shutdown',
  left: 'clean',
  prepare: takeBackup,
  break: async (instance) => {
    await remove(instance, instance.places.documents);
    await overwritePage(instance, instance.places.archiveLedger, 3);
  },
  expect: {
    finding: 'relation.missing',
    message: /bring-back-from-backup/,
    quarantine: ({ places }) => [places.archiveLedger],
  },
});
