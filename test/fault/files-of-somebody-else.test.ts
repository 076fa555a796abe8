import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { write } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the directory holds files that are not PostgreSQL’s (a wrong mount)',
  section: 'A',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none',
  left: 'empty',
  break: async (instance) => {
    await mkdir(join(instance.dataDir, 'photos'));
    await write(instance, 'photos/cat.jpg', 'meow');
    await write(instance, 'notes.txt', 'do not lose');
  },
  expect: { exit: 77, message: /not PostgreSQL's|not PostgreSQL’s/, finding: 'data.foreign' },
});
