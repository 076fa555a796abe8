import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { serverUser } from '../harness/as-user.ts';
import { makeDirectory } from '../harness/files.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'a folder stands in the place of an index of pg_database after a crash (global/2671)',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'crashed',
  break: async (instance) => {
    const path = join(instance.dataDir, 'global/2671');
    await rm(path);
    await makeDirectory(path, serverUser, 0o700);
  },
  postgresSays: /could not open file "global\/2671"|could not read block|Is a directory/,
  expect: { finding: 'catalog-index.damaged', quarantine: ['global/2671'] },
});
