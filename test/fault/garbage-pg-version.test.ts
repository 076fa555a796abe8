import { write } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'PG_VERSION holds garbage',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'unseen',
  break: (instance) => write(instance, 'PG_VERSION', 'banana\n'),
  postgresSays: /does not contain valid data|is not a valid data directory/,
  expect: { finding: 'version-file.broken', quarantine: ['PG_VERSION'] },
});
