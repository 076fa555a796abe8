import { write } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'somebody left a standby.signal: the primary would come up read-only',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => write(instance, 'standby.signal', ''),
  postgresSays: /entering standby mode/,
  expect: { finding: 'signal.stray', quarantine: ['standby.signal'] },
});
