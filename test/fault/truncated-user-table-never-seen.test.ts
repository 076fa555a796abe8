import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { expectRowsBeforeTheCut } from './rest-of-the-rows.ts';

disaster({
  name: 'a user’s table was cut in the middle of a page, in an instance that dbkit never saw',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'those behind the cut',
  left: 'unseen',
  break: (instance) => truncateTo(instance, instance.places.ledger, 8192 * 60 + 100),
  expect: {
    finding: 'relation.truncated',
    message: /damaged/,
    rows: expectRowsBeforeTheCut,
    lost: /damaged/,
    remains: ['relation.truncated'],
  },
});
