import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { asServerUser } from '../harness/as-user.ts';
import { until, untilNoneIn } from '../harness/processes.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'an initdb that dbkit did not start was killed half-way',
  section: 'A',
  detectedBefore: true,
  healedBy: 'initialize',
  rowsLost: 'none',
  left: 'empty',
  break: async ({ programs, dataDir }) => {
    const options = { ...asServerUser, cwd: '/', stdio: 'ignore', detached: true } as const; // A group of its own: initdb with its children.
    const initdb = spawn(join(programs.directory, 'initdb'), ['--pgdata', dataDir, '--no-sync'], options);
    await until(
      () => existsSync(join(dataDir, 'base/1/PG_VERSION')),
      () => 'initdb does nothing',
    );
    process.kill(-initdb.pid!, 'SIGKILL');
    await once(initdb, 'exit');
    await untilNoneIn(dataDir);
  },
  expect: { finding: 'data.unfinished', rows: 'a new instance', quarantine: 'whole' },
});
