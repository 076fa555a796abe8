import { join } from 'node:path';
import { disaster } from './disaster.ts';

disaster({
  name: 'PostgreSQL’s programs are not installed',
  section: 'A',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none',
  left: 'clean',
  break: async () => undefined,
  env: ({ root }) => ({ POSTGRES_BIN_DIR: join(root, 'nowhere') }),
  expect: { exit: 127, message: /POSTGRES_BIN_DIR/ },
  mend: async () => undefined,
});
