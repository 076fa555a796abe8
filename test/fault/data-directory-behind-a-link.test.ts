import { rename, symlink } from 'node:fs/promises';
import { disaster } from './disaster.ts';

disaster({
  name: 'PGDATA is a link to where the data is, and the server crashed',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  break: async ({ dataDir }) => {
    await rename(dataDir, `${dataDir}.real`);
    await symlink(`${dataDir}.real`, dataDir);
  },
  expect: { finding: 'shutdown.unclean', quarantine: 'none' },
});
