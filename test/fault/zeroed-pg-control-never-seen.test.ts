import { zero } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_control was zeroed in an instance that dbkit never saw, and there is no backup',
  section: 'D',
  detectedBefore: true,
  healedBy: 'reinitialize',
  rowsLost: 'all of them are in the quarantine',
  left: 'unseen',
  break: async (instance) => zero(instance, 'global/pg_control'),
  postgresSays: /incompatible with server|incorrect checksum in control file/,
  expect: { finding: 'control.damaged', rows: 'a new instance', quarantine: 'whole', lost: /the old data is whole in/ },
});
