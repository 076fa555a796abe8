import { ask } from '../harness/ask.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'a DROP DATABASE was interrupted and left a database that lets nobody in',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  prepare: async (instance) => {
    await ask(instance, 'postgres', 'CREATE DATABASE leftover', "UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'leftover'");
  },
  break: async () => undefined,
  expect: { finding: 'shutdown.unclean' },
});
