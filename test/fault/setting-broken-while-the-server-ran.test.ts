import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { disaster } from './disaster.ts';

disaster({
  name: 'a bad value was written to postgresql.conf while the server ran, and then it was restarted',
  section: 'B',
  detectedBefore: false,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  prepare: (instance) => appendFile(join(instance.dataDir, 'postgresql.conf'), "shared_buffers = '10XB'\n"),
  break: async () => undefined, // What lay there at the clean stop, and was kept as the good copy, is what is broken.
  postgresSays: /configuration file .* contains errors/,
  expect: {
    finding: 'conf.broken',
    message: /invalid value for parameter "shared_buffers": "10XB"/,
    rows: 'all',
    quarantine: ['postgresql.conf'],
  },
});
