import { remove, truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { checkpointSegment } from './wal.ts';

const HALF_SEGMENT = 8 * 1024 * 1024;

disaster({
  name: 'pg_control is gone after a crash, and the WAL segment in use was cut off behind its last record',
  section: 'C',
  detectedBefore: true,
  healedBy: 'restore',
  rowsLost: 'none',
  left: 'crashed',
  prepare: takeBackup,
  break: async (instance) => {
    await truncateTo(instance, await checkpointSegment(instance), HALF_SEGMENT);
    await remove(instance, 'global/pg_control');
  },
  expect: { finding: 'control.damaged', rows: 'all', quarantine: 'whole', lost: /^nothing$/ },
});
