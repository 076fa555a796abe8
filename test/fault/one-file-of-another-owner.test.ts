import { join } from 'node:path';
import { giveToRoot, needsRoot } from '../harness/permissions.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'one file of a table belongs to root',
  section: 'A',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  needs: needsRoot,
  left: 'clean',
  break: ({ dataDir, places }) => giveToRoot(join(dataDir, places.ledger)),
  postgresSays: /could not open file "[^"]+": Permission denied/,
  expect: { finding: 'owner.wrong' },
});
