import { resolve } from 'node:path';
import { DbkitError } from '../kernel/errors.ts';
import type { Runner } from '../kernel/machine.ts';
import type { Git } from './git-repository.ts';

const TIMEOUT_MS = 10_000;

/** Asks git itself: only it knows about work trees, includes and core.hooksPath. */
export function createGit(runner: Runner): Git {
  return {
    async repositoryOf(directory, signal) {
      const args = ['-C', directory, 'rev-parse', '--show-toplevel', '--git-common-dir', '--git-path', 'hooks'];
      const { exitCode, stdout, stderr } = await runner.attempt({ file: 'git', args, timeoutMs: TIMEOUT_MS }, signal);
      const [root, gitDir, hooksDir] = stdout.split('\n');
      if (exitCode !== 0 || !root || !gitDir || !hooksDir) {
        throw new DbkitError('command.failed', `${directory} is in no git work tree`, {
          hint: `git said: ${stderr.trim().split('\n')[0] || 'nothing'}`,
        });
      }
      return { root, gitDir: resolve(directory, gitDir), hooksDir: resolve(directory, hooksDir) };
    },
  };
}
