import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the file of an unlogged table is gone after a crash',
  section: 'B',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none (an unlogged table is emptied by every crash)',
  left: 'crashed',
  break: (instance) => remove(instance, instance.places.scratch),
  expect: { finding: 'shutdown.unclean' },
});
