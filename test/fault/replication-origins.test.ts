import { ask } from '../harness/ask.ts';
import { flipByte, truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

const FILE = 'pg_logical/replorigin_checkpoint';
const origin = "SELECT pg_replication_origin_create('upstream')";

disaster({
  name: 'the progress of the replication origins is empty after a crash, and there never was an origin (pg_logical/replorigin_checkpoint)',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'crashed',
  break: (instance) => truncateTo(instance, FILE, 0),
  postgresSays: /could not read file "pg_logical\/replorigin_checkpoint": read 0 of 4/,
  expect: { finding: 'cache.damaged', quarantine: [FILE] },
});

disaster({
  name: 'the progress of the replication origins fails its checksum after a crash',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none (the progress of the origins is)',
  left: 'crashed',
  prepare: async (instance) => void (await ask(instance, 'postgres', origin, 'CHECKPOINT')),
  break: (instance) => flipByte(instance, FILE, 5),
  postgresSays: /replication slot checkpoint has wrong checksum/,
  expect: { finding: 'replication-origin.damaged', lost: /replication origins/, losses: ['origins'], quarantine: [FILE] },
});

disaster({
  name: 'the progress of the replication origins is cut short after a clean stop, of which a copy was kept',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  prepare: async (instance) => void (await ask(instance, 'postgres', origin)),
  break: (instance) => truncateTo(instance, FILE, 3),
  postgresSays: /could not read file "pg_logical\/replorigin_checkpoint": read 3 of 4/,
  expect: { finding: 'replication-origin.damaged', quarantine: [FILE] },
});
