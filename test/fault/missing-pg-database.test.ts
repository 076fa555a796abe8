import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the catalog of databases is gone (global/1262), and there is no backup',
  section: 'D',
  detectedBefore: true,
  healedBy: 'reinitialize',
  rowsLost: 'all of them are in the quarantine',
  left: 'clean',
  break: async (instance) => remove(instance, 'global/1262'),
  postgresSays: /global\/1262/,
  expect: { finding: 'catalog.missing', rows: 'a new instance', quarantine: 'whole', lost: /the old data is whole in/ },
});
