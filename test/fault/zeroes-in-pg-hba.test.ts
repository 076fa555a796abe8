import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the records of pg_hba.conf hold zeroes, which the server reads over, and pg_control was cut',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: async (instance) => {
    const path = join(instance.dataDir, 'pg_hba.conf');
    const text = await readFile(path, 'latin1');
    const first = text.search(/^(local|host)/m);
    await writeFile(path, `${text.slice(0, first)}#${'\0'.repeat(text.length - first - 1)}\nhost all nobody 192.0.2.1/32 reject\n`);
    await truncateTo(instance, 'global/pg_control', 4_000);
  },
  expect: { finding: 'conf.broken', rows: 'all', quarantine: 'none' },
});
