import { write } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'somebody left a recovery.signal',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => write(instance, 'recovery.signal', ''),
  postgresSays: /must specify "?restore_command"? when standby mode is not enabled/,
  expect: { finding: 'signal.stray', quarantine: ['recovery.signal'] },
});
