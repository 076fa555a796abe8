import type { Logger, System } from '../kernel/machine.ts';
import { spawnChild } from './child.ts';
import { clock } from './clock.ts';
import { createFaultPoint } from './faults.ts';
import { createFiles } from './files.ts';
import { handOver, handOverTree } from './hand-over.ts';
import { reachableByOthers } from './local-folder.ts';
import { createLocks } from './locks.ts';
import { actsAsRoot, asCaller, groupsOf } from './privileges.ts';
import { createRunner } from './runner.ts';
import { forgetSecret, keepSecret } from './secret-file.ts';
import { createTrace } from './trace.ts';
import { mayWriteIn, whoElseMayWrite } from './trust.ts';
import { currentUser, lookupUser } from './users.ts';

/** The part of the caller's environment: nothing that dbkit was told in secret, nothing that steers libpq. */
const handedDown = [
  'PATH',
  'HOME',
  'LANG',
  'LC_ALL',
  'LANGUAGE',
  'TZ',
  'TMPDIR',
  'USER',
  'LOGNAME',
  'LD_LIBRARY_PATH',
  'NSS_WRAPPER_PASSWD',
  'NSS_WRAPPER_GROUP',
  'LD_PRELOAD',
];

/** This machine, assembled: the one value through which adapters act. */
export async function createSystem(log: Logger, environment: Readonly<Record<string, string | undefined>>): Promise<System> {
  const childEnvironment: Record<string, string> = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
  for (const name of handedDown) {
    const value = environment[name];
    if (value !== undefined) childEnvironment[name] = value;
  }
  const self = await currentUser(environment['HOME']);
  return {
    clock,
    log,
    runner: createRunner(log, childEnvironment),
    spawn: spawnChild,
    locks: createLocks(childEnvironment),
    files: createFiles(log),
    rights: {
      isRoot: actsAsRoot,
      asCaller,
      whoElseMayWrite: (path, options) => whoElseMayWrite(path, self, options),
      handOver,
      handOverTree,
      keepSecret,
      forgetSecret,
      mayWriteIn: (path, user) => mayWriteIn(path, user, [user.gid, ...groupsOf()]),
    },
    reached: createFaultPoint(environment['DBKIT_FAIL_AT']),
    trace: createTrace(environment['DBKIT_TRACE'], { clock, log }),
    self,
    lookupUser,
    reachableByOthers,
    childEnvironment,
  };
}
