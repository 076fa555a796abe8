import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'PG_VERSION is empty',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => truncateTo(instance, 'PG_VERSION', 0),
  postgresSays: /does not contain valid data|is not a valid data directory/,
  expect: { finding: 'version-file.broken', quarantine: ['PG_VERSION'] },
});
