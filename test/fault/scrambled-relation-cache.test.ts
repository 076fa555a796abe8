import { scramble } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'pg_internal.init holds garbage',
  section: 'B',
  detectedBefore: false,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => scramble(instance, 'global/pg_internal.init'),
  expect: {},
});
