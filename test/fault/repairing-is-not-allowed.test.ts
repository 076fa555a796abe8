import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { serverUser } from '../harness/as-user.ts';
import { remove } from '../harness/breaking.ts';
import { ownedBy } from '../harness/files.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_notify is gone, and recovery.allow forbids to repair',
  section: 'B',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none',
  config: { recovery: { allow: ['restore'] } },
  left: 'clean',
  break: (instance) => remove(instance, 'pg_notify'),
  expect: { exit: 77, message: /repairs are not allowed here/, finding: 'directory.missing' },
  mend: async ({ dataDir }) => {
    await mkdir(join(dataDir, 'pg_notify'), { mode: 0o700 });
    await ownedBy(join(dataDir, 'pg_notify'), serverUser);
  },
});
