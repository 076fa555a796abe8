import { remove, zero } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';

disaster({
  name: 'pg_wal is gone after a clean stop, and every page of a user’s table was zeroed',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'those of that table',
  left: 'clean',
  break: async (instance) => {
    await zero(instance, instance.places.ledger);
    await remove(instance, 'pg_wal');
  },
  expect: {
    finding: 'relation.changed',
    message: /damaged/,
    rows: expectOtherTables,
    lost: /page 0 holds zeroes/,
    remains: ['relation.changed'],
  },
});
