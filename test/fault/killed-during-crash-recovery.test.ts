import { controlStates, writeControlState } from '../harness/control-file.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the server was killed again while it replayed its WAL',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  break: ({ dataDir }) => writeControlState(dataDir, controlStates.inCrashRecovery),
  postgresSays: /database system was interrupted while in recovery/,
  expect: { finding: 'shutdown.unclean' },
});
