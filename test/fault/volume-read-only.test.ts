import { mountVolume, needsMounts, remount } from '../harness/mount.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the volume is mounted read-only',
  section: 'A',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none',
  needs: needsMounts,
  left: 'clean',
  break: async (instance) => {
    await mountVolume(instance, 'size=200m');
    await remount(instance, 'ro');
  },
  expect: { exit: 69, message: /read-only/ },
  mend: (instance) => remount(instance, 'rw'),
});
