import { ask } from '../harness/ask.ts';
import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { takeBackup } from './take-backup.ts';

disaster({
  name: 'the file of a user’s table is gone after a crash, and the WAL holds rows of it: crash recovery makes it anew; there is a backup',
  section: 'C',
  detectedBefore: false,
  healedBy: 'restore',
  rowsLost: 'none: the WAL since the backup is there',
  left: 'crashed',
  startsFirst: true,
  prepare: async (instance) => {
    await takeBackup(instance);
    await ask(instance, 'app', 'CHECKPOINT');
  },
  break: (instance) => remove(instance, instance.places.ledger),
  expect: { finding: 'relation.missing', rows: 'all', quarantine: 'whole', lost: /^nothing$/ },
});
