import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { expectApplication } from './rest-of-the-rows.ts';

disaster({
  name: 'pg_class of one database is gone',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'those of that database',
  left: 'clean',
  break: (instance) => remove(instance, `${instance.places.archive}/${instance.places.pgClass.split('/')[2]}`),
  postgresSays: /could not open file "base\/\d+\/\d+": No such file/,
  expect: { finding: 'catalog.missing', message: /damaged/, rows: expectApplication, lost: /damaged/, remains: ['catalog.missing'] },
});
