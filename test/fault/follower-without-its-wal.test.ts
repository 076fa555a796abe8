import { disaster } from './disaster.ts';
import { followAnArchive } from './following.ts';

disaster({
  name: 'a server that follows another one lacks WAL, and its archive has none either',
  section: 'C',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none',
  left: 'crashed',
  startsFirst: true,
  break: (instance) => followAnArchive(instance, () => 'false'),
  expect: { exit: 65, finding: 'wal.missing', message: /follows another one[\s\S]*pg_basebackup/ },
});
