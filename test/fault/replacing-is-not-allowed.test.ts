import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_control is empty after a crash, and recovery.allow forbids to replace the data',
  section: 'D',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none: nothing is touched',
  config: { recovery: { allow: ['repair'] } },
  left: 'crashed',
  break: (instance) => truncateTo(instance, 'global/pg_control', 0),
  expect: { exit: 65, message: /replacing the data is not allowed here/, finding: 'control.damaged' },
});
