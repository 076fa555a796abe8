import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_control is empty after a crash, and there is no backup',
  section: 'D',
  detectedBefore: true,
  healedBy: 'reinitialize',
  rowsLost: 'all of them are in the quarantine',
  left: 'crashed',
  break: async (instance) => truncateTo(instance, 'global/pg_control', 0),
  expect: { finding: 'control.damaged', rows: 'a new instance', quarantine: 'whole', lost: /the old data is whole in/ },
});
