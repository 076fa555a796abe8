import { ask } from '../harness/ask.ts';
import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';

disaster({
  name: 'a user’s table was cut short while the server ran, and then it was stopped cleanly',
  section: 'C',
  detectedBefore: false,
  healedBy: 'serving the rest',
  rowsLost: 'those of that table',
  left: 'clean',
  prepare: async (instance) => {
    await ask(instance, 'app', 'ANALYZE ledger', 'CHECKPOINT');
    await truncateTo(instance, instance.places.ledger, 8192);
  },
  break: async () => undefined, // The inventory of the clean stop matches what is left.
  expect: { message: /damaged/, rows: expectOtherTables, lost: /table (public\.)?ledger .* had 67/, remains: ['relation.truncated'] },
});
