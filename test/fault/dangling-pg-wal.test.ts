import { rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_wal is a link to a volume that is not mounted, after a clean stop',
  section: 'A',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none',
  left: 'clean',
  break: async ({ root, dataDir }) => {
    await rename(join(dataDir, 'pg_wal'), join(root, 'unmounted'));
    await symlink(join(root, 'wal-volume'), join(dataDir, 'pg_wal'));
  },
  mend: async ({ root }) => rename(join(root, 'unmounted'), join(root, 'wal-volume')),
  postgresSays: /required WAL directory "pg_wal" does not exist/,
  expect: { exit: 77, finding: 'wal-link.dangling', message: /mount the volume/ },
});
