import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'an index of pg_database is gone (global/2671) after a crash',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'crashed',
  break: (instance) => remove(instance, 'global/2671'),
  postgresSays: /could not open file "global\/2671"/,
  expect: { finding: 'catalog-index.damaged', quarantine: 'none' },
});
