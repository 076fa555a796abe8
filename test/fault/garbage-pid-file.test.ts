import { write } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'postmaster.pid holds garbage',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  break: (instance) => write(instance, 'postmaster.pid', 'not a number\n'),
  postgresSays: /bogus data in lock file "postmaster.pid"/,
  expect: { message: /postmaster\.pid was left behind/ },
});
