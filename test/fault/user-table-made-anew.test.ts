import { ask } from '../harness/ask.ts';
import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';

disaster({
  name: 'the file of a user’s table is gone after a crash, and the WAL holds rows of it: crash recovery makes it anew',
  section: 'C',
  detectedBefore: false,
  healedBy: 'serving the rest',
  rowsLost: 'those of that table that were there before its last checkpoint',
  left: 'crashed',
  startsFirst: true,
  prepare: async (instance) => {
    await ask(instance, 'app', 'CHECKPOINT');
  },
  break: (instance) => remove(instance, instance.places.ledger),
  expect: {
    finding: 'relation.missing',
    message: /damaged/,
    rows: expectOtherTables,
    lost: /table (public\.)?ledger in database app was gone, and crash recovery recreated it/,
    losses: ['table'],
    remains: ['relation.missing'],
  },
});
