import { remove } from '../harness/breaking.ts';
import { customise, expectRowsAndSetting } from './customised.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'postgresql.conf is gone',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  prepare: customise,
  break: (instance) => remove(instance, 'postgresql.conf'),
  postgresSays: /could not access the server configuration file/,
  expect: { finding: 'conf.missing', rows: expectRowsAndSetting, quarantine: 'none' },
});
