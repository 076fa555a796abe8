import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { checkpointSegment } from './wal.ts';

disaster({
  name: 'the WAL segment with the checkpoint is gone after a clean stop',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: async (instance) => remove(instance, await checkpointSegment(instance)),
  postgresSays: /could not locate a valid checkpoint record/,
  expect: { finding: 'wal.missing', message: /pg_resetwal/ },
});
