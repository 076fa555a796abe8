import { giveToRoot, needsRoot } from '../harness/permissions.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the data was copied as root and belongs to root now',
  section: 'A',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  needs: needsRoot,
  left: 'clean',
  break: ({ dataDir }) => giveToRoot(dataDir),
  expect: { finding: 'owner.wrong' },
});
