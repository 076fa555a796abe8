import { chmod } from 'node:fs/promises';
import { needsRoot } from '../harness/permissions.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the data directory has mode 0000',
  section: 'A',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  needs: needsRoot, // The test itself could not look into it otherwise.
  left: 'clean',
  break: ({ dataDir }) => chmod(dataDir, 0),
  expect: { finding: 'mode.wrong' },
});
