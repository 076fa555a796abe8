import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_control is gone after a clean stop',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => remove(instance, 'global/pg_control'),
  postgresSays: /could not find the database system|could not (read|open) file "[^"]*global\/pg_control"/,
  expect: { finding: 'control.damaged', quarantine: 'none' },
});
