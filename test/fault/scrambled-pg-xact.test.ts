import { scramble } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the transaction status file holds garbage after a clean stop (pg_xact/0000)',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => scramble(instance, 'pg_xact/0000'),
  expect: { finding: 'slru.damaged', quarantine: ['pg_xact/0000'] },
});
