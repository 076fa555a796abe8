import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { segments } from './wal.ts';

disaster({
  name: 'every WAL segment is gone after a clean stop',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: async (instance) => remove(instance, ...(await segments(instance))),
  postgresSays: /could not locate a valid checkpoint record/,
  expect: { finding: 'wal.missing', message: /pg_resetwal/ },
});
