import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { installHook } from '../../src/health/hooks/install.ts';
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

test('a hook does not run a program that the repository itself brings', async () => {
  await install();
  expect(await readFile(join(repository, '.git/hooks/pre-commit'), 'utf8')).toContain(
    '! git ls-files --error-unmatch node_modules/.bin/dbkit',
  );
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
  backupAt: 'daily',
  verifyAt: 'weekly',
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
