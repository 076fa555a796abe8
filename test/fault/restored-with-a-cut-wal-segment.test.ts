import { remove, truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { segments } from './wal.ts';

const HALF_SEGMENT = 8 * 1024 * 1024;

disaster({
  name: 'pg_control is gone after a crash, and the WAL segments since the backup were cut off behind their last records',
  section: 'C',
  detectedBefore: true,
  healedBy: 'restore',
  rowsLost: 'none',
  left: 'crashed',
  prepare: takeBackup,
  break: async (instance) => {
    for (const segment of (await segments(instance)).sort().slice(1)) await truncateTo(instance, segment, HALF_SEGMENT); // None holds more.
    await remove(instance, 'global/pg_control');
  },
  expect: { finding: 'control.damaged', rows: 'all', quarantine: 'whole', lost: /^nothing$/ },
});
