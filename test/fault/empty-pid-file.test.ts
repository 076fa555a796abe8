import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'postmaster.pid is empty',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  break: (instance) => truncateTo(instance, 'postmaster.pid', 0),
  postgresSays: /lock file "postmaster.pid" is empty/,
  expect: { message: /postmaster\.pid was left behind/ },
});
