import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'global/pg_filenode.map is gone after a clean stop',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => remove(instance, 'global/pg_filenode.map'),
  postgresSays: /could not open (relation mapping )?file "global\/pg_filenode.map"/,
  expect: { finding: 'filenode-map.damaged', quarantine: 'none' },
});
