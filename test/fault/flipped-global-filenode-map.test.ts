import { flipByte } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'one bit of global/pg_filenode.map flipped after a clean stop',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => flipByte(instance, 'global/pg_filenode.map', 20),
  postgresSays: /relation mapping file "global\/pg_filenode.map" contains incorrect checksum/,
  expect: { finding: 'filenode-map.damaged', quarantine: ['global/pg_filenode.map'] },
});
