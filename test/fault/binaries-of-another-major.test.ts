import { installed, runnable } from '../harness/majors.ts';
import { disaster } from './disaster.ts';

let others = '';

disaster({
  name: 'the image was updated: the programs are of another major version',
  section: 'A',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none',
  needs: () => (installed.length > 1 ? undefined : 'only one major version is installed'),
  left: 'clean',
  break: async ({ programs }) => {
    others = (await runnable(installed.find(({ major }) => major !== programs.major)!)).directory;
  },
  env: () => ({ POSTGRES_BIN_DIR: others }),
  expect: { exit: 78, message: /PostgreSQL \d+\b.*\b\d+/ },
  mend: async () => undefined,
});
