import { ask } from '../harness/ask.ts';
import { scramble } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the state of a replication slot holds garbage',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none (the slot is)',
  left: 'clean',
  prepare: async (instance) => void (await ask(instance, 'postgres', "SELECT pg_create_physical_replication_slot('copy', true)")),
  break: (instance) => scramble(instance, 'pg_replslot/copy/state'),
  postgresSays: /replication slot file "[^"]+" has wrong magic number/,
  expect: { finding: 'replication-slot.damaged', lost: /slot/, losses: ['slot'], quarantine: ['pg_replslot/copy/state'] },
});
