import { fillInodes, freeVolume, mountVolume, needsMounts } from '../harness/mount.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the volume has no inodes left',
  section: 'A',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none',
  needs: needsMounts,
  left: 'clean',
  break: async (instance) => {
    await mountVolume(instance, 'size=200m,nr_inodes=5000');
    await fillInodes(instance);
  },
  expect: { exit: 69, message: /inodes/ },
  mend: freeVolume,
});
