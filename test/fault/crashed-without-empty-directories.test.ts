import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_replslot, pg_tblspc and pg_twophase are gone after a crash',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'crashed',
  break: (instance) => remove(instance, 'pg_replslot', 'pg_tblspc', 'pg_twophase'),
  postgresSays: /could not open directory "pg_/,
  expect: { finding: 'directory.missing' },
});
