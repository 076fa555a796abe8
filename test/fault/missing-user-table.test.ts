import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';

disaster({
  name: 'the file of a user’s table is gone',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'those of that table',
  left: 'clean',
  break: (instance) => remove(instance, instance.places.ledger),
  postgresSays: /could not open file "base\/\d+\/\d+": No such file/,
  expect: {
    finding: 'relation.missing',
    message: /damaged/,
    rows: expectOtherTables,
    lost: /damaged/,
    losses: ['table'],
    remains: ['relation.missing'],
  },
});
