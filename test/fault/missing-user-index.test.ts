import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the file of a user’s index is gone',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => remove(instance, instance.places.ledgerByAccount),
  expect: { finding: 'relation.missing', quarantine: 'none' },
});
