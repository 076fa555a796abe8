import { disaster } from './disaster.ts';
import { followAnArchive } from './following.ts';

disaster({
  name: 'a recovery from an archive is under way, and the checkpoint’s WAL is there, not in pg_wal',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => followAnArchive(instance, (archive) => `cp "${archive}/%f" "%p"`),
  expect: { finding: 'wal.missing' },
});
