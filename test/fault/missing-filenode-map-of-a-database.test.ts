import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_filenode.map of a database is gone after a clean stop',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => remove(instance, `${instance.places.app}/pg_filenode.map`),
  postgresSays: /could not open (relation mapping )?file "base\/\d+\/pg_filenode.map"/,
  expect: { finding: 'filenode-map.damaged', quarantine: 'none' },
});
