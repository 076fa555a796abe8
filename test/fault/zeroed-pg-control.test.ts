import { zero } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_control was zeroed after a clean stop',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => zero(instance, 'global/pg_control'),
  postgresSays: /incompatible with server|incorrect checksum in control file/,
  expect: { finding: 'control.damaged', quarantine: ['global/pg_control'] },
});
