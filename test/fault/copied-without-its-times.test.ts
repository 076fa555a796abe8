import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { treeOf } from '../harness/files.ts';
import { disaster } from './disaster.ts';
import { takeBackup } from './take-backup.ts';

disaster({
  name: 'the data directory was copied without the times of its files, and there is a backup',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'clean',
  prepare: takeBackup,
  break: async ({ dataDir }) => {
    const now = new Date();
    for (const path of Object.keys(await treeOf(dataDir))) await utimes(join(dataDir, path), now, now).catch(() => undefined);
  },
  expect: { finding: 'times.differ', quarantine: 'none' },
});
