import { zero } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';

disaster({
  name: 'every page of a user’s table was zeroed by the crash, there is no backup, and the WAL names only some of them: all are told',
  section: 'C',
  detectedBefore: false,
  healedBy: 'serving the rest',
  rowsLost: 'those of that table, but for what crash recovery brings back',
  left: 'crashed',
  break: (instance) => zero(instance, instance.places.ledger),
  expect: { finding: 'page.lost', message: /damaged/, rows: expectOtherTables, lost: /page 0 holds zeroes/, remains: ['page.lost'] },
});
