import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'a shared catalog is gone that no session needs (pg_shdescription, global/2396)',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'none of the user’s',
  left: 'clean',
  break: async (instance) => remove(instance, 'global/2396'),
  expect: { finding: 'catalog.missing', message: /damaged/, rows: 'all', lost: /damaged/, remains: ['catalog.missing'] },
});
