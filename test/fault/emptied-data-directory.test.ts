import { readdir } from 'node:fs/promises';
import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the data directory was emptied, and there is no backup',
  section: 'D',
  detectedBefore: true,
  healedBy: 'initialize',
  rowsLost: 'all',
  left: 'clean',
  break: async (instance) => remove(instance, ...(await readdir(instance.dataDir))),
  expect: { rows: 'a new instance' },
});
