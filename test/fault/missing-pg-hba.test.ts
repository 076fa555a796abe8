import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_hba.conf is gone',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => remove(instance, 'pg_hba.conf'),
  postgresSays: /could not load .*pg_hba\.conf/,
  expect: { finding: 'conf.missing', quarantine: 'none' },
});
