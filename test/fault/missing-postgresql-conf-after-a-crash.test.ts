import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'postgresql.conf is gone after a crash, and no copy of it is left',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none (settings of its own are)',
  left: 'crashed',
  break: async (instance) => {
    await rm(join(instance.stateDir, 'started'), { recursive: true });
    await remove(instance, 'postgresql.conf');
  },
  postgresSays: /could not access the server configuration file/,
  expect: { finding: 'conf.missing', message: /postgresql\.conf was rebuilt from defaults/ },
});
