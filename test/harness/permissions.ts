import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { isRoot } from './as-user.ts';
import { program } from './dbkit.ts';

const run = promisify(execFile);

/** Why another owner cannot be staged here; undefined when it can. */
export const needsRoot = (): string | undefined => (isRoot ? undefined : 'only root can give files to another user');

/** `chown -R` to root, as a copy made with sudo leaves it. */
export const giveToRoot = async (path: string): Promise<void> => void (await run('chown', ['-R', '0:0', path]));

/** Why another user cannot run the program under test: a checkout in root's own folder is closed to everybody else. */
export function needsReachableProgram(): string | undefined {
  for (let directory = dirname(program); directory !== dirname(directory); directory = dirname(directory)) {
    if ((statSync(directory).mode & 0o001) === 0) return `only root can enter ${directory}, where this checkout is`;
  }
  return undefined;
}
