import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the transaction status file is gone after a crash, and there is no backup',
  section: 'D',
  detectedBefore: true,
  healedBy: 'reinitialize',
  rowsLost: 'all of them are in the quarantine',
  left: 'crashed',
  break: async (instance) => remove(instance, 'pg_xact/0000'),
  postgresSays: /pg_xact\/0000/,
  expect: { finding: 'slru.damaged', rows: 'a new instance', quarantine: 'whole', lost: /the old data is whole in/ },
});
