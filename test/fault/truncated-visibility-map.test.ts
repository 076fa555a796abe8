import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the visibility map of a table was cut',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => truncateTo(instance, `${instance.places.ledger}_vm`, 100),
  expect: { finding: 'cache.damaged', quarantine: ({ places }) => [`${places.ledger}_vm`] },
});
