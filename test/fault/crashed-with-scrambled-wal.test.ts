import { scramble } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { checkpointSegment } from './wal.ts';

disaster({
  name: 'the WAL holds garbage after a crash, and there is no backup',
  section: 'D',
  detectedBefore: true,
  healedBy: 'reinitialize',
  rowsLost: 'all of them are in the quarantine',
  left: 'crashed',
  break: async (instance) => scramble(instance, await checkpointSegment(instance)),
  expect: { finding: 'wal.damaged', rows: 'a new instance', quarantine: 'whole', lost: /the old data is whole in/ },
});
