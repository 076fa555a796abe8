import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { disaster } from './disaster.ts';
import { innocent } from './stale-pid.ts';

disaster({
  name: 'the pid in a left-over socket lock was given to another program',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  break: async (instance) => {
    const lock = join(instance.socketDir, `.s.PGSQL.${instance.port}.lock`);
    const [, ...rest] = (await readFile(lock, 'utf8')).split('\n');
    await writeFile(lock, [(await innocent(instance)).pid, ...rest].join('\n'));
  },
  expect: {},
});
