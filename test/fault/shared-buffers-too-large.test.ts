import { readFileSync } from 'node:fs';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { disaster } from './disaster.ts';

const conf = ({ dataDir }: { dataDir: string }): string => join(dataDir, 'postgresql.conf');
const line = '\nshared_buffers = 8000GB\n';

disaster({
  name: 'shared_buffers is larger than the machine',
  section: 'A',
  detectedBefore: false,
  healedBy: 'refusal',
  rowsLost: 'none',
  needs: () =>
    readFileSync('/proc/sys/vm/overcommit_memory', 'utf8').trim() === '1' ? 'this machine promises any amount of memory' : undefined,
  left: 'clean',
  break: (instance) => appendFile(conf(instance), line),
  postgresSays: /could not map anonymous shared memory/,
  expect: { exit: 78, message: /shared_buffers/ },
  mend: async (instance) => writeFile(conf(instance), (await readFile(conf(instance), 'utf8')).replace(line, '')),
});
