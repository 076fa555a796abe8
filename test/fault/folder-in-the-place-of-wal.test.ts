import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { serverUser } from '../harness/as-user.ts';
import { makeDirectory } from '../harness/files.ts';
import { disaster } from './disaster.ts';
import { checkpointSegment } from './wal.ts';

disaster({
  longTier: true,
  name: 'a folder stands in the place of the WAL segment with the checkpoint, after a clean stop',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: async (instance) => {
    const path = join(instance.dataDir, await checkpointSegment(instance));
    await rm(path);
    await makeDirectory(path, serverUser, 0o700);
  },
  expect: { finding: 'wal.damaged', message: /pg_resetwal/ },
});
