import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'an index of pg_database is empty (global/2671)',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'unseen',
  break: (instance) => truncateTo(instance, 'global/2671', 0),
  postgresSays: /could not read blocks? 0.* in file "global\/2671"|index .* contains/,
  expect: { finding: 'catalog-index.damaged', quarantine: ['global/2671'] },
});
