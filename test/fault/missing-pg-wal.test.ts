import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_wal is gone after a clean stop',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => remove(instance, 'pg_wal'),
  postgresSays: /required WAL directory "pg_wal" does not exist/,
  expect: { finding: 'wal-directory.missing', message: /pg_resetwal/ },
});
