import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_ident.conf is gone',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => remove(instance, 'pg_ident.conf'),
  postgresSays: /could not open (usermap )?file "[^"]*pg_ident\.conf"/,
  expect: { finding: 'conf.missing', quarantine: 'none' },
});
