import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { expectRowsBeforeTheCut } from './rest-of-the-rows.ts';

disaster({
  name: 'a user’s table lost its last pages',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'those behind the cut',
  left: 'clean',
  break: (instance) => truncateTo(instance, instance.places.ledger, 8192 * 60),
  expect: {
    finding: 'relation.changed',
    message: /damaged/,
    rows: expectRowsBeforeTheCut,
    lost: /damaged/,
    remains: ['relation.truncated'],
  },
});
