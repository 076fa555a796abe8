import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { isRoot } from './as-user.ts';

const run = promisify(execFile);

/** Why another owner cannot be staged here; undefined when it can. */
export const needsRoot = (): string | undefined => (isRoot ? undefined : 'only root can give files to another user');

/** `chown -R` to root, as a copy made with sudo leaves it. */
export const giveToRoot = async (path: string): Promise<void> => void (await run('chown', ['-R', '0:0', path]));
