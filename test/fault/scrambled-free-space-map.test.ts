import { scramble } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the free space map of a table holds garbage',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => scramble(instance, `${instance.places.ledger}_fsm`),
  expect: { finding: 'cache.damaged', quarantine: ({ places }) => [`${places.ledger}_fsm`] },
});
