import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { makeLabel } from '../../src/kernel/labels.ts';
import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the data was already replaced three times within the hour',
  section: 'D',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none: nothing is touched',
  left: 'crashed',
  break: async (instance) => {
    await truncateTo(instance, 'global/pg_control', 0);
    for (const minutes of [5, 10, 15]) {
      const label = makeLabel('corrupt', new Date(Date.now() - minutes * 60_000));
      await mkdir(join(instance.backupDir, 'quarantine', label), { recursive: true });
    }
  },
  expect: { exit: 77, message: /too often within the last hour/, finding: 'control.damaged' },
});
