import { ask } from '../harness/ask.ts';
import { truncateTo } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the catalog of roles is empty after a crash (global/1260), and there is no backup',
  section: 'D',
  detectedBefore: true,
  healedBy: 'reinitialize',
  rowsLost: 'all of them are in the quarantine',
  left: 'crashed',
  startsFirst: true,
  prepare: async (instance) => void (await ask(instance, 'app', 'CHECKPOINT')),
  break: async (instance) => truncateTo(instance, 'global/1260', 0),
  expect: { finding: 'catalog.missing', rows: 'a new instance', quarantine: 'whole', lost: /the old data is whole in/ },
});
