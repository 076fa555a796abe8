import { readdir } from 'node:fs/promises';
import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { expectRowsOfTheBackup, takeBackup } from './take-backup.ts';

disaster({
  name: 'the data directory was emptied, and there is a backup',
  section: 'C',
  detectedBefore: true,
  healedBy: 'restore',
  rowsLost: 'those committed after the backup',
  left: 'clean',
  prepare: takeBackup,
  break: async (instance) => remove(instance, ...(await readdir(instance.dataDir))),
  expect: { rows: expectRowsOfTheBackup, lost: /committed after/ },
});
