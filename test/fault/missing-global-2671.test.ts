import { ask } from '../harness/ask.ts';
import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'an index of pg_database is gone (global/2671)',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => remove(instance, 'global/2671'),
  postgresSays: /could not open file "global\/2671"/,
  expect: { finding: 'catalog-index.damaged', quarantine: 'none' },
});

disaster({
  name: 'an index of pg_database is gone (global/2671), while a transaction is prepared',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none: the index is rebuilt with room for the prepared transaction',
  longTier: true,
  left: 'clean',
  config: { postgresql: { settings: { max_prepared_transactions: '5' } } },
  prepare: async (instance) => {
    await ask(instance, 'app', 'CREATE TABLE waiting (id int)', 'BEGIN', 'INSERT INTO waiting VALUES (1)', "PREPARE TRANSACTION 'one'");
  },
  break: (instance) => remove(instance, 'global/2671'),
  expect: { finding: 'catalog-index.damaged', quarantine: 'none' },
});
