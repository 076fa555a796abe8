import { write } from '../harness/breaking.ts';
import { customise, expectRowsAndSetting } from './customised.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'postgresql.conf holds merge markers',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  prepare: customise,
  break: (instance) => write(instance, 'postgresql.conf', '<<<<<<< HEAD\nport = 5432\n=======\nport = 5433\n>>>>>>> theirs\n'),
  postgresSays: /syntax error in file/,
  expect: { finding: 'conf.broken', rows: expectRowsAndSetting, quarantine: ['postgresql.conf'] },
});
