import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_control is empty after a clean stop',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => truncateTo(instance, 'global/pg_control', 0),
  postgresSays: /could not find the database system|could not (read|open) file "[^"]*global\/pg_control"/,
  expect: { finding: 'control.damaged', quarantine: ['global/pg_control'] },
});
