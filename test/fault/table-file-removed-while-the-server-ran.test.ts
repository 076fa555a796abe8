import { ask } from '../harness/ask.ts';
import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { expectLedger } from './rest-of-the-rows.ts';

disaster({
  name: 'the file of a user’s table was removed while the server ran, and then it was stopped cleanly',
  section: 'C',
  detectedBefore: false,
  healedBy: 'serving the rest',
  rowsLost: 'those of that table',
  left: 'clean',
  prepare: async (instance) => {
    await ask(instance, 'app', 'ANALYZE documents', 'CHECKPOINT');
    await remove(instance, instance.places.documents);
  },
  break: async () => undefined, // The inventory of the clean stop matches what is left.
  expect: { message: /damaged/, rows: expectLedger, lost: /is gone/, remains: ['relation.missing'] },
});
