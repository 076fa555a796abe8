import { truncateTo } from '../harness/breaking.ts';
import { mountVolume, needsMounts } from '../harness/mount.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_control is empty after a crash on a volume that is PGDATA itself',
  section: 'D',
  detectedBefore: true,
  healedBy: 'reinitialize',
  rowsLost: 'all of them are in the quarantine, on the same volume',
  needs: needsMounts,
  left: 'crashed',
  break: async (instance) => {
    await mountVolume(instance, 'size=400m');
    await truncateTo(instance, 'global/pg_control', 0);
  },
  expect: { finding: 'control.damaged', rows: 'a new instance', quarantine: 'whole', lost: /the old data is whole in/ },
});
