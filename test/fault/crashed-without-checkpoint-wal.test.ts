import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { checkpointSegment } from './wal.ts';

disaster({
  name: 'the WAL segment with the checkpoint is gone after a crash, and there is no backup',
  section: 'D',
  detectedBefore: true,
  healedBy: 'reinitialize',
  rowsLost: 'all of them are in the quarantine',
  left: 'crashed',
  break: async (instance) => remove(instance, await checkpointSegment(instance)),
  expect: { finding: 'wal.missing', rows: 'a new instance', quarantine: 'whole', lost: /the old data is whole in/ },
});
