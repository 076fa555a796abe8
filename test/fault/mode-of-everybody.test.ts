import { chmod } from 'node:fs/promises';
import { disaster } from './disaster.ts';

disaster({
  name: 'the data directory has mode 0777',
  section: 'A',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: ({ dataDir }) => chmod(dataDir, 0o777),
  postgresSays: /data directory "[^"]+" has invalid permissions/,
  expect: { finding: 'mode.wrong' },
});
