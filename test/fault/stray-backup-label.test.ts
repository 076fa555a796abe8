import { write } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

const label = `START WAL LOCATION: 0/9000028 (file 000000010000000000000009)
CHECKPOINT LOCATION: 0/9000060
BACKUP METHOD: streamed
BACKUP FROM: primary
START TIME: 2020-01-01 00:00:00 UTC
LABEL: long ago
START TIMELINE: 1
`;

disaster({
  name: 'somebody left the backup_label of another backup',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => write(instance, 'backup_label', label),
  postgresSays: /could not locate required checkpoint record/,
  expect: { finding: 'backup-label.stray', quarantine: ['backup_label'] },
});
