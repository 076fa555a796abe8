import { fillSpace, freeVolume, mountVolume, needsMounts } from '../harness/mount.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the volume is full',
  section: 'A',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none',
  needs: needsMounts,
  left: 'clean',
  break: async (instance) => {
    await mountVolume(instance, 'size=200m');
    await fillSpace(instance);
  },
  postgresSays: /No space left on device|ready to accept/,
  expect: { exit: 69, message: /is full/ },
  mend: freeVolume,
});
