import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { serverUser } from '../harness/as-user.ts';
import { ask } from '../harness/ask.ts';
import { makeDirectory } from '../harness/files.ts';
import { disaster } from './disaster.ts';
import { takeBackup } from './take-backup.ts';

disaster({
  name: 'a folder stands in the place of a table’s file after a crash, where crash recovery would open it',
  section: 'C',
  detectedBefore: true,
  healedBy: 'restore',
  rowsLost: 'none',
  left: 'crashed',
  startsFirst: true,
  prepare: async (instance) => {
    await takeBackup(instance);
    await ask(instance, 'app', 'CHECKPOINT', 'UPDATE ledger SET amount = amount WHERE id < 100');
  },
  break: async (instance) => {
    const path = join(instance.dataDir, instance.places.ledger);
    await rm(path);
    await makeDirectory(path, serverUser, 0o700);
    await rm(instance.stateDir, { recursive: true });
  },
  postgresSays: /could not (create|open) file "base\/.*(File exists|Is a directory)/,
  expect: { finding: 'relation.folder', quarantine: 'whole' },
});
