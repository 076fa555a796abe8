import { rm } from 'node:fs/promises';
import { markPaths } from '../../src/wal/mark.ts';
import { writeForeignControl } from '../harness/control-file.ts';
import { disaster } from './disaster.ts';

const controlOnly = ['global/pg_control'] as const;

disaster({
  name: 'a pg_control of another cluster was put in the place of the lost one',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none: the copy kept at the last clean stop is brought back, and no new WAL is begun',
  left: 'clean',
  break: writeForeignControl,
  expect: { finding: 'control.damaged', quarantine: controlOnly },
});

disaster({
  name: 'the same, and dbkit’s own notes are gone: which of the two is right is a person’s to say',
  section: 'A',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none: nothing is changed',
  left: 'clean',
  break: async (instance) => {
    await writeForeignControl(instance);
    await rm(instance.stateDir, { recursive: true });
    await rm(markPaths(instance.stateDir, instance.dataDir).data);
  },
  expect: { finding: 'control.contradicted', exit: 77, message: /system identifier/ },
});
