import { truncateTo } from '../harness/breaking.ts';
import { customise, expectRowsAndSetting } from './customised.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'postgresql.conf is empty',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  prepare: customise,
  break: (instance) => truncateTo(instance, 'postgresql.conf', 0),
  expect: { finding: 'conf.broken', rows: expectRowsAndSetting, quarantine: ['postgresql.conf'] },
});
