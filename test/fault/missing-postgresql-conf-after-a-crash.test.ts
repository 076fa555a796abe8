import { remove } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'postgresql.conf is gone after a crash, and no copy was ever kept',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none (settings of its own are)',
  left: 'crashed',
  break: (instance) => remove(instance, 'postgresql.conf'),
  postgresSays: /could not access the server configuration file/,
  expect: { finding: 'conf.missing', message: /postgresql\.conf was rebuilt from defaults/ },
});
