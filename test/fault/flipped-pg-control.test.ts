import { flipByte } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'one bit of pg_control flipped after a clean stop',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => flipByte(instance, 'global/pg_control', 40),
  postgresSays: /incorrect checksum in control file/,
  expect: { finding: 'control.damaged', quarantine: ['global/pg_control'] },
});
