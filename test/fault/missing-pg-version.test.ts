import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'PG_VERSION is gone',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => remove(instance, 'PG_VERSION'),
  postgresSays: /is not a valid data directory/,
  expect: { finding: 'version-file.broken', quarantine: 'none' },
});
