import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'an index of pg_opclass, which no map names, is gone in one database',
  section: 'B',
  detectedBefore: false,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'unseen',
  break: (instance) => remove(instance, `${instance.places.app}/2687`),
  postgresSays: /could not open file "base\/\d+\/2687"/,
  expect: { finding: 'catalog-index.damaged', quarantine: 'none' },
});
