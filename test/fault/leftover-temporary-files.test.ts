import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { serverUser } from '../harness/as-user.ts';
import { write } from '../harness/breaking.ts';
import { ownedBy } from '../harness/files.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'temporary files of killed sessions were left behind',
  section: 'B',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  break: async (instance) => {
    const directory = join(instance.dataDir, 'base/pgsql_tmp');
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await ownedBy(directory, serverUser);
    await write(instance, 'base/pgsql_tmp/pgsql_tmp4711.0', 'half a sort');
    await write(instance, `${instance.places.app}/t3_99999`, 'a temporary table');
  },
  expect: { finding: 'shutdown.unclean' },
});
