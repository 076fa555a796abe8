import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_notify is gone',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => remove(instance, 'pg_notify'),
  postgresSays: /could not open directory "pg_notify"/,
  expect: { finding: 'directory.missing' },
});
