import { ask } from '../harness/ask.ts';
import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the file of a user’s index is gone after a crash, and the WAL holds entries of it: crash recovery makes it anew',
  section: 'B',
  detectedBefore: false,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'crashed',
  startsFirst: true,
  prepare: async (instance) => {
    await ask(instance, 'app', 'CHECKPOINT');
  },
  break: (instance) => remove(instance, instance.places.ledgerByAccount),
  expect: { finding: 'index.damaged', rows: 'all', quarantine: 'none', lost: /^nothing$/ },
});
