import { join, resolve } from 'node:path';
import { DbkitError } from '../kernel/errors.ts';
import type { Runner } from '../kernel/machine.ts';
import type { Git, GitCheckout } from './git-repository.ts';
import { isThere } from './is-there.ts';

const TIMEOUT_MS = 10_000;

/** Files that git leaves in its directory while it is in the middle of something (git's wt-status.c, wt_status_get_state). */
const traces = [
  ['rebase', 'rebase-merge'],
  ['rebase', 'rebase-apply'],
  ['merge', 'MERGE_HEAD'],
  ['cherry-pick', 'CHERRY_PICK_HEAD'],
  ['revert', 'REVERT_HEAD'],
  ['bisect', 'BISECT_LOG'],
] as const;

/** Asks git itself: only it knows about work trees, includes and core.hooksPath. */
export function createGit(runner: Runner): Git {
  const ask = (directory: string, args: readonly string[], signal: AbortSignal) =>
    runner.attempt({ file: 'git', args: ['-C', directory, ...args], timeoutMs: TIMEOUT_MS }, signal);
  /** The answer of git in one line; undefined where it has no answer. */
  const line = async (directory: string, args: readonly string[], signal: AbortSignal): Promise<string | undefined> => {
    const { exitCode, stdout } = await ask(directory, args, signal);
    return exitCode === 0 && stdout.trim() !== '' ? stdout.trim() : undefined;
  };
  /** Answers of rev-parse, one for each of the arguments that ask for a path. */
  const paths = async (directory: string, args: readonly string[], signal: AbortSignal): Promise<readonly string[]> => {
    const { exitCode, stdout, stderr } = await ask(directory, ['rev-parse', '--show-toplevel', ...args], signal);
    const found = stdout.split('\n');
    if (exitCode === 0 && found.every((path) => path !== '')) return found;
    throw new DbkitError('command.failed', `${directory} is in no git work tree`, {
      hint: `git said: ${stderr.trim().split('\n')[0] || 'nothing'}`,
    });
  };
  return {
    async repositoryOf(directory, signal) {
      const [root, gitDir, hooksDir] = await paths(directory, ['--git-common-dir', '--git-path', 'hooks'], signal);
      return { root: root!, gitDir: resolve(directory, gitDir!), hooksDir: resolve(directory, hooksDir!) };
    },
    async checkoutOf(directory, signal): Promise<GitCheckout> {
      const [root, shared, own] = await paths(directory, ['--git-common-dir', '--git-dir'], signal);
      const gitDir = resolve(directory, own!);
      const found = await Promise.all(traces.map(async ([during, name]) => ((await isThere(join(gitDir, name))) ? during : undefined)));
      return {
        root: root!,
        isLinked: resolve(directory, shared!) !== gitDir,
        branch: (await line(directory, ['symbolic-ref', '--quiet', '--short', 'HEAD'], signal)) ?? null,
        left: leftBranch(await line(directory, ['rev-parse', '--symbolic-full-name', '@{-1}'], signal)),
        during: found.find((one) => one !== undefined) ?? null,
      };
    },
    setting: (directory, name, signal) => line(directory, ['config', '--local', '--get', name], signal),
    async set(directory, name, value, signal) {
      const args = ['config', '--local', ...(value === undefined ? ['--unset-all', name] : [name, value])];
      const { exitCode, stderr } = await ask(directory, args, signal);
      if (exitCode === 0 || (value === undefined && exitCode === NOT_SET)) return;
      throw new DbkitError('command.failed', `git cannot write its setting ${name}`, { hint: `git said: ${stderr.trim().split('\n')[0]}` });
    },
  };
}

/** git-config(1): the status of `--unset` for what there is not. */
const NOT_SET = 5;

const leftBranch = (ref: string | undefined): string | null => (ref?.startsWith('refs/heads/') ? ref.slice('refs/heads/'.length) : null);
