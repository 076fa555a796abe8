import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'global/pg_filenode.map is gone after a crash, and there is no backup',
  section: 'D',
  detectedBefore: true,
  healedBy: 'reinitialize',
  rowsLost: 'all of them are in the quarantine',
  left: 'crashed',
  break: async (instance) => remove(instance, 'global/pg_filenode.map'),
  postgresSays: /global\/pg_filenode.map/,
  expect: { finding: 'filenode-map.damaged', rows: 'a new instance', quarantine: 'whole', lost: /the old data is whole in/ },
});
