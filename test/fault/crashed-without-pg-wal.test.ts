import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_wal is gone after a crash, and there is no backup',
  section: 'D',
  detectedBefore: true,
  healedBy: 'reinitialize',
  rowsLost: 'all of them are in the quarantine',
  left: 'crashed',
  break: async (instance) => remove(instance, 'pg_wal'),
  postgresSays: /required WAL directory "pg_wal" does not exist/,
  expect: { finding: 'wal-directory.missing', rows: 'a new instance', quarantine: 'whole', lost: /the old data is whole in/ },
});
