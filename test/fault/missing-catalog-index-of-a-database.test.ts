import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'an index of pg_class is gone in one database',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => remove(instance, instance.places.pgClassOidIndex),
  postgresSays: /could not open file "base\/\d+\/\d+"/,
  expect: { finding: 'catalog-index.damaged', quarantine: 'none' },
});
