import { disaster } from './disaster.ts';
import { innocent, pretendPid } from './stale-pid.ts';

disaster({
  name: 'the pid in postmaster.pid was given to another program',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  break: async (instance) => pretendPid(instance, (await innocent(instance)).pid!),
  postgresSays: /lock file "postmaster.pid" already exists/,
  expect: { message: /postmaster\.pid was left behind/ },
});
