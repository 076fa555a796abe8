import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';
import { expectLedger } from './rest-of-the-rows.ts';

disaster({
  name: 'the file of a toast table is gone',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'the long values of that table',
  left: 'clean',
  break: (instance) => remove(instance, instance.places.documentsToast),
  postgresSays: /could not open file "base\/\d+\/\d+": No such file/,
  expect: { finding: 'relation.missing', message: /damaged/, rows: expectLedger, lost: /damaged/, remains: ['relation.missing'] },
});
