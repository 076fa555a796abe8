import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { write } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'a new volume holds only lost+found, .DS_Store and .gitkeep',
  section: 'A',
  detectedBefore: true,
  healedBy: 'initialize',
  rowsLost: 'none',
  left: 'empty',
  break: async (instance) => {
    await mkdir(join(instance.dataDir, 'lost+found'));
    await write(instance, '.DS_Store', '');
    await write(instance, '.gitkeep', '');
  },
  expect: { rows: 'a new instance' },
});
