import { write } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_hba.conf holds garbage',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => write(instance, 'pg_hba.conf', 'everybody may enter\n'),
  postgresSays: /could not load .*pg_hba\.conf/,
  expect: { finding: 'conf.broken', quarantine: ['pg_hba.conf'] },
});
