import { scramble } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'an index of pg_database holds garbage, in an instance that dbkit never saw',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'unseen',
  break: (instance) => scramble(instance, 'global/2671'),
  postgresSays: /invalid page in block/,
  expect: { finding: 'catalog-index.damaged', quarantine: ['global/2671'] },
});
