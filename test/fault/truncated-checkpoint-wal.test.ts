import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { checkpointSegment } from './wal.ts';

disaster({
  name: 'the WAL segment with the checkpoint is empty after a clean stop',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: async (instance) => truncateTo(instance, await checkpointSegment(instance), 0),
  postgresSays: /could not locate a valid checkpoint record/,
  expect: { finding: 'wal.damaged', message: /pg_resetwal/ },
});
