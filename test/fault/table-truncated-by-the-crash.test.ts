import { ask } from '../harness/ask.ts';
import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the power went before a new table’s file was written; its WAL was',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  prepare: async (instance) => void (await ask(instance, 'app', 'CHECKPOINT', 'UPDATE ledger SET amount = amount')),
  break: (instance) => truncateTo(instance, instance.places.ledger, 8192 * 61),
  expect: { finding: 'shutdown.unclean' },
});
