import { ask } from '../harness/ask.ts';
import { remove } from '../harness/breaking.ts';
import { addRows } from '../harness/rows.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the transaction status file is gone after a crash, and there is no backup',
  section: 'D',
  detectedBefore: true,
  healedBy: 'reinitialize',
  rowsLost: 'all of them are in the quarantine',
  left: 'crashed',
  prepare: async (instance) => {
    await addRows(instance, 20_001, 50); // Their hint bits are not set: without pg_xact nobody knows that they were committed.
    await ask(instance, 'app', 'CHECKPOINT');
  },
  break: async (instance) => remove(instance, 'pg_xact/0000'),
  postgresSays: /pg_xact\/0000/,
  expect: { finding: 'slru.damaged', rows: 'a new instance', quarantine: 'whole', lost: /the old data is whole in/ },
});
