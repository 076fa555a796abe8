import { disaster } from './disaster.ts';
import { innocent, pretendPid, threadOf } from './stale-pid.ts';

disaster({
  name: 'postmaster.pid names a thread of a Node process',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  break: async (instance) => pretendPid(instance, await threadOf(await innocent(instance))),
  postgresSays: /lock file "postmaster.pid" already exists/,
  expect: { message: /postmaster\.pid was left behind/ },
});
