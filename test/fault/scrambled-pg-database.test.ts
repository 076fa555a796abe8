import { scramble } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the catalog of databases holds garbage (global/1262), and there is no backup',
  section: 'D',
  detectedBefore: true,
  healedBy: 'reinitialize',
  rowsLost: 'all of them are in the quarantine',
  left: 'clean',
  break: async (instance) => scramble(instance, 'global/1262'),
  postgresSays: /invalid page in block 0 of relation/,
  expect: { finding: 'relation.changed', rows: 'a new instance', quarantine: 'whole', lost: /the old data is whole in/ },
});
