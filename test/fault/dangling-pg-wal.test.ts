import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_wal is a link to a volume that is not there, after a clean stop',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: async (instance) => {
    await remove(instance, 'pg_wal');
    await symlink(join(instance.root, 'wal-volume'), join(instance.dataDir, 'pg_wal'));
  },
  postgresSays: /required WAL directory "pg_wal" does not exist/,
  expect: { finding: 'wal-directory.missing', message: /pg_resetwal/ },
});
