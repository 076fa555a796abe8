import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_hba.conf is empty',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => truncateTo(instance, 'pg_hba.conf', 0),
  postgresSays: /could not load .*pg_hba\.conf/,
  expect: { finding: 'conf.broken', quarantine: ['pg_hba.conf'] },
});
