import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

import { checkpointSegment } from './wal.ts';

const HALF_SEGMENT = 8 * 1024 * 1024;

disaster({
  name: 'the WAL segment in use was cut off behind its last record, after a crash',
  section: 'A',
  detectedBefore: false,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  break: async (instance) => truncateTo(instance, await checkpointSegment(instance), HALF_SEGMENT),
  expect: { rows: 'all' },
});
