import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'base/ is gone, and there is no backup',
  section: 'D',
  detectedBefore: true,
  healedBy: 'reinitialize',
  rowsLost: 'all of them are in the quarantine',
  left: 'clean',
  break: async (instance) => remove(instance, 'base'),
  expect: { finding: 'directory.lost', rows: 'a new instance', quarantine: 'whole', lost: /the old data is whole in/ },
});
