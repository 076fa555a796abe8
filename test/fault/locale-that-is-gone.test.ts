import { ask } from '../harness/ask.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the image no longer has the locale of the databases',
  section: 'A',
  detectedBefore: false,
  healedBy: 'refusal',
  rowsLost: 'none',
  left: 'unseen',
  startsFirst: true,
  prepare: async (instance) => void (await ask(instance, 'postgres', "UPDATE pg_database SET datcollate = 'xx_XX', datctype = 'xx_XX'")),
  break: async () => undefined,
  postgresSays: /database locale is incompatible with operating system/,
  expect: { exit: 78, message: /locale/ },
});
