import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the whole directory pg_xact is gone after a clean stop, and there is no backup',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none: every file of it had been kept',
  left: 'clean',
  break: (instance) => remove(instance, 'pg_xact'),
  expect: { finding: 'directory.lost', rows: 'all', lost: /^nothing$/ },
});
