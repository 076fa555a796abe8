import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { asServerUser } from '../harness/as-user.ts';
import { killAllIn, until } from '../harness/processes.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'an initdb that dbkit did not start was killed half-way',
  section: 'A',
  detectedBefore: true,
  healedBy: 'initialize',
  rowsLost: 'none',
  core: true,
  left: 'empty',
  break: async ({ programs, dataDir }) => {
    const initdb = spawn(join(programs.directory, 'initdb'), ['--pgdata', dataDir, '--no-sync'], {
      ...asServerUser,
      cwd: '/',
      stdio: 'ignore',
    });
    await until(
      () => existsSync(join(dataDir, 'base/1/PG_VERSION')),
      () => 'initdb does nothing',
    );
    initdb.kill('SIGKILL');
    await once(initdb, 'exit');
    await killAllIn(dataDir);
  },
  expect: { finding: 'data.unfinished', rows: 'a new instance' },
});
