import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the transaction status file is gone after a clean stop (pg_xact/0000)',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => remove(instance, 'pg_xact/0000'),
  postgresSays: /Could not open file "pg_xact\/0000"|could not open file "pg_xact\/0000"/,
  expect: { finding: 'slru.damaged', quarantine: 'none' },
});
