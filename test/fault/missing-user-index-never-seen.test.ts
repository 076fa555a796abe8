import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the file of a user’s index is gone, in an instance that dbkit never saw',
  section: 'B',
  detectedBefore: false,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'unseen',
  break: (instance) => remove(instance, instance.places.ledgerByAccount),
  expect: { finding: 'index.damaged', quarantine: 'none' },
});
