import { scramble } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'an index of pg_database holds garbage (global/2671)',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => scramble(instance, 'global/2671'),
  postgresSays: /invalid page in block/,
  expect: { finding: 'catalog-index.damaged', quarantine: ['global/2671'] },
});
