import { scramble } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { checkpointSegment } from './wal.ts';

disaster({
  name: 'the WAL segment with the checkpoint holds garbage after a clean stop',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: async (instance) => scramble(instance, await checkpointSegment(instance)),
  postgresSays: /could not locate a valid checkpoint record/,
  expect: { finding: 'wal.damaged', message: /pg_resetwal/ },
});
