import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { installHook } from '../../src/health/hooks/install.ts';
import { runsDbkit } from '../../src/health/hooks/plan.ts';
import { createProjectFolder } from '../../src/homes/devcontainer/project-folder.ts';
import { renderUnits, type UnitPlan } from '../../src/homes/systemd/units.ts';
import type { Logger, System } from '../../src/kernel/machine.ts';
import { createFiles } from '../../src/machine/files.ts';

const silent = (): void => undefined;
const log: Logger = { debug: silent, info: silent, warn: silent, error: silent, progress: silent };
const signal = new AbortController().signal;
let home: string;
let repository: string;
beforeEach(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'dbkit-clone-')));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  repository = join(home, 'repo');
  await mkdir(join(repository, '.git/hooks'), { recursive: true });
  await writeFile(join(home, '.bashrc'), '# mine\n');
});
const install = () => {
  const found = { root: repository, gitDir: join(repository, '.git'), hooksDir: join(repository, '.git/hooks') };
  return installHook({ git: { repositoryOf: async () => found } }, { directory: repository, program: ['node', 'dbkit'] }, signal);
};
const bashrc = (): Promise<string> => readFile(join(home, '.bashrc'), 'utf8');

test('a link under the name of what is written first leads nowhere', async () => {
  await mkdir(join(repository, '.husky'));
  await symlink('../../.bashrc', join(repository, '.husky/pre-commit.dbkit-new'));
  expect((await install()).outcome).toBe('installed');
  expect(await bashrc()).toBe('# mine\n');
});

test('a folder of hooks that leads out of the repository is refused', async () => {
  await symlink('..', join(repository, '.husky'));
  await expect(install()).rejects.toMatchObject({ code: 'recovery.refused' });
});

test('the file of a hook manager that leads to a device without end is none', async () => {
  await symlink('/dev/zero', join(repository, 'lefthook.yml'));
  await symlink('/dev/zero', join(repository, '.pre-commit-config.yaml'));
  expect((await install()).outcome).toBe('installed');
});

const git = (...args: string[]) =>
  execFileSync(
    'git',
    ['-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'protocol.file.allow=always', '-c', 'commit.gpgsign=false', ...args],
    {
      cwd: repository,
      env: { PATH: '/usr/bin:/bin', HOME: home, GIT_CONFIG_NOSYSTEM: '1' },
    },
  );
const putProgram = async (folder: string): Promise<void> => {
  await mkdir(join(folder, '.bin'), { recursive: true });
  await writeFile(join(folder, '.bin/dbkit'), '#!/bin/sh\necho "ran $1"\n', { mode: 0o755 });
};
const asHook = (): string => {
  const script = runsDbkit('health', undefined, 'echo nothing').join('\n');
  return execFileSync('/bin/sh', ['-c', script], { cwd: repository, env: { PATH: '/usr/bin:/bin', HOME: home }, encoding: 'utf8' }).trim();
};

test.each([
  ['a file', () => putProgram(join(repository, 'node_modules'))],
  [
    'a link',
    async () => {
      await putProgram(join(repository, 'tools'));
      await symlink('tools', join(repository, 'node_modules'));
    },
  ],
  [
    'a link of the program',
    async () => {
      await putProgram(join(repository, 'tools'));
      await mkdir(join(repository, 'node_modules/.bin'), { recursive: true });
      await symlink('../../tools/.bin/dbkit', join(repository, 'node_modules/.bin/dbkit'));
      await writeFile(join(repository, '.gitignore'), 'node_modules\n');
    },
  ],
  [
    'a submodule',
    async () => {
      const other = join(home, 'other');
      await putProgram(other);
      git('init', '-q', other);
      git('-C', other, 'add', '-A');
      git('-C', other, 'commit', '-qm', 'program');
      git('submodule', '-q', 'add', other, 'node_modules');
    },
  ],
])('a hook does not run a program that the repository itself brings as %s', async (_, bring) => {
  git('init', '-q');
  await bring();
  git('add', '-A');
  expect(asHook()).toBe('nothing');
});

test('a hook runs what npm has installed', async () => {
  git('init', '-q');
  const installed = join(repository, 'node_modules/dbkit');
  await putProgram(installed);
  await mkdir(join(repository, 'node_modules/.bin'));
  await symlink('../dbkit/.bin/dbkit', join(repository, 'node_modules/.bin/dbkit'));
  await writeFile(join(repository, '.gitignore'), 'node_modules\n');
  git('add', '-A');
  expect(asHook()).toBe('ran health');
  await rm(join(repository, '.git'), { recursive: true });
  expect(asHook(), 'git does not answer').toBe('nothing');
});

test('a project’s file is written within the project, or not at all', async () => {
  const self = { uid: 1, gid: 1, name: 'me', home };
  const project = createProjectFolder({ files: createFiles(log), self } as unknown as System);
  await symlink('..', join(repository, '.devcontainer'));
  await symlink('../.bashrc', join(repository, '.gitignore'));
  for (const path of ['.devcontainer/Dockerfile', '.gitignore'])
    await expect(project.write(join(repository, path), 'FROM evil', repository)).rejects.toMatchObject({ code: 'recovery.refused' });
  expect(await bashrc()).toBe('# mine\n');
  await project.write(join(repository, 'a/b'), 'mine', repository);
  expect(await readFile(join(repository, 'a/b'), 'utf8')).toBe('mine');
});

const plan: UnitPlan = {
  program: ['/usr/bin/node', '/dbkit.js'],
  user: 'postgres',
  serverUnit: 'dbkit-postgresql.service',
  environmentFile: '/etc/dbkit/env',
  socketDir: '/run/postgresql',
  notes: ['/var/lib/dbkit'],
  writable: ['/data'],
  intervalSeconds: 60,
  stopSeconds: 8,
  receivesWal: true,
  backupAt: 'daily',
  verifyAt: 'weekly',
  drill: undefined,
};

test.each([
  ['backupAt', { backupAt: 'daily\nUnit=evil.service' }],
  ['writable', { writable: ['/data\nExecStartPre=/bin/evil'] }],
  ['user', { user: 'postgres\nUser=root' }],
  ['environmentFile', { environmentFile: '/e\rExecStart=/bin/evil' }],
])('a line break in %s begins no directive of its own', (_, change) => {
  expect(renderUnits(plan).length).toBeGreaterThan(5);
  expect(() => renderUnits({ ...plan, ...change })).toThrow(/line break/);
});
