import { flipByte } from '../harness/breaking.ts';
import { offsetInSegment, readControl } from '../harness/control-file.ts';
import { disaster } from './disaster.ts';
import { checkpointSegment } from './wal.ts';

const HEADER_BYTES = 24; // XLogRecord, src/include/access/xlogrecord.h: what follows is the checkpoint itself.

disaster({
  name: 'one bit of the checkpoint record in the WAL flipped after a clean stop',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: async (instance) => {
    const { checkpoint } = await readControl(instance.dataDir);
    await flipByte(instance, await checkpointSegment(instance), offsetInSegment(checkpoint) + HEADER_BYTES + 8);
  },
  postgresSays: /incorrect resource manager data checksum|could not locate a valid checkpoint record/,
  expect: { finding: 'wal.damaged', message: /pg_resetwal/ },
});
