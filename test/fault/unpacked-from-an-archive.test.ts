import { lstat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { treeOf } from '../harness/files.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the data directory was unpacked from an archive that keeps whole seconds',
  section: 'A',
  detectedBefore: false,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'clean',
  break: async ({ dataDir }) => {
    for (const path of Object.keys(await treeOf(dataDir))) {
      const seconds = Math.floor((await lstat(join(dataDir, path))).mtimeMs / 1000);
      await utimes(join(dataDir, path), seconds, seconds).catch(() => undefined);
    }
  },
  expect: {},
});
