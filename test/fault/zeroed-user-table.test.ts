import { zero } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';

disaster({
  name: 'every page of a user’s table was zeroed, which no checksum shows',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'those of that table',
  left: 'clean',
  break: (instance) => zero(instance, instance.places.ledger),
  expect: { finding: 'relation.changed', message: /damaged/, rows: expectOtherTables, lost: /page 0 holds zeroes/, remains: ['page.lost'] },
});
