import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Ended, run } from './dbkit.ts';
import type { Instance } from './instance.ts';

const exec = promisify(execFile);

/** A git repository with one commit on main, whose hooks find the instance. */
export interface Project {
  readonly root: string;
  /** Both streams of git and of its hooks. */
  git(...args: readonly string[]): Promise<string>;
  dbkit(words: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended>;
}

export async function openProject(instance: Instance): Promise<Project> {
  const root = join(instance.root, 'project');
  await mkdir(root);
  const env = { ...instance.env, GIT_CONFIG_NOSYSTEM: '1' };
  const git = async (...args: readonly string[]): Promise<string> => {
    const { stdout, stderr } = await exec('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.org', ...args], { cwd: root, env });
    return `${stdout}${stderr}`;
  };
  await git('init', '-q', '-b', 'main');
  await writeFile(join(root, 'schema.sql'), '');
  await git('add', 'schema.sql');
  await git('commit', '-q', '-m', 'one');
  const through = ['sh', '-c', 'cd "$0" && exec "$@"', root];
  return { root, git, dbkit: (words, more = {}) => run(instance, words, { through, env: { ...more } }) };
}
