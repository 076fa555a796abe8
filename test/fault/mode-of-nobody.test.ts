import { chmod } from 'node:fs/promises';
import { disaster } from './disaster.ts';

disaster({
  name: 'the data directory has mode 0000',
  section: 'A',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: ({ dataDir }) => chmod(dataDir, 0),
  expect: { finding: 'mode.wrong' },
});
