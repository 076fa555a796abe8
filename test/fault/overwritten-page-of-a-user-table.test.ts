import { overwritePage } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { expectOtherPages } from './rest-of-the-rows.ts';

disaster({
  name: 'dd went over a page of a user’s table',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'those on that page',
  left: 'clean',
  break: (instance) => overwritePage(instance, instance.places.ledger, 3),
  postgresSays: /invalid page in block 3 of relation/,
  expect: { finding: 'relation.changed', message: /damaged/, rows: expectOtherPages, lost: /damaged/, remains: ['page.damaged'] },
});
