import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { disaster } from './disaster.ts';

disaster({
  name: 'a table was being extended when the power went: its last page is torn',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  break: ({ dataDir, places }) => appendFile(join(dataDir, places.ledger), Buffer.alloc(100)),
  expect: { finding: 'shutdown.unclean' },
});
