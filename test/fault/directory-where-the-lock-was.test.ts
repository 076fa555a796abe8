import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { disaster } from './disaster.ts';

disaster({
  name: 'a directory stands where dbkit’s lock file was',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'clean',
  break: async ({ dataDir }) => {
    await rm(join(dataDir, '.dbkit/lock'));
    await mkdir(join(dataDir, '.dbkit/lock'));
  },
  expect: { message: /lock was a directory, and was set aside/ },
});

disaster({
  name: 'a directory stands where dbkit says that it is ready',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  break: async ({ stateDir }) => {
    await rm(join(stateDir, 'ready'), { force: true });
    await mkdir(join(stateDir, 'ready'));
  },
  expect: { finding: 'shutdown.unclean', quarantine: 'none' },
});
