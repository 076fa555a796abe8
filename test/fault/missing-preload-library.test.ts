import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { disaster } from './disaster.ts';

const conf = ({ dataDir }: { dataDir: string }): string => join(dataDir, 'postgresql.conf');
const line = "\nshared_preload_libraries = 'no_such_library'\n";

disaster({
  name: 'a library of shared_preload_libraries is not installed',
  section: 'A',
  detectedBefore: false,
  healedBy: 'refusal',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => appendFile(conf(instance), line),
  postgresSays: /could not access file "no_such_library": No such file or directory/,
  expect: { exit: 78, message: /no_such_library/ },
  mend: async (instance) => writeFile(conf(instance), (await readFile(conf(instance), 'utf8')).replace(line, '')),
});
