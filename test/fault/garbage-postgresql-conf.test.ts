import { scramble } from '../harness/breaking.ts';
import { customise, expectRowsAndSetting } from './customised.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'postgresql.conf was overwritten with garbage',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  prepare: customise,
  break: (instance) => scramble(instance, 'postgresql.conf'),
  postgresSays: /syntax error in file|configuration file .* contains errors/,
  expect: { finding: 'conf.broken', rows: expectRowsAndSetting, quarantine: ['postgresql.conf'] },
});
