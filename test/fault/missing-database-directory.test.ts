import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { expectApplication } from './rest-of-the-rows.ts';

disaster({
  name: 'the directory of one database is gone',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'those of that database',
  left: 'clean',
  break: (instance) => remove(instance, instance.places.archive),
  postgresSays: /The database subdirectory "base\/\d+" is missing|is not a valid data directory/,
  expect: {
    finding: 'database.missing',
    message: /damaged/,
    rows: expectApplication,
    lost: /damaged/,
    losses: ['database'],
    remains: ['database.missing'],
  },
});
