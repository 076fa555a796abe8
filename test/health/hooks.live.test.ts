import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { HookReport } from '../../src/health/hooks/install.ts';
import { boot } from '../harness/dbkit.ts';
import { configure, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { inOneNode } from '../harness/one-node.ts';

const [programs] = installed;
const exec = promisify(execFile);

interface Repository {
  readonly root: string;
  git(...args: readonly string[]): Promise<{ stdout: string; stderr: string }>;
  dbkit(...args: readonly string[]): Promise<HookReport>;
  /** Makes a `dbkit` in PATH that answers with this status, and what a commit comes to. */
  commit(status: number): Promise<string>;
  write(path: string, text: string, mode?: number): Promise<void>;
  read(path: string): Promise<string>;
}

async function repository(): Promise<Repository> {
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-hooks-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755); // Else root's --local would keep everything elsewhere, as PostgreSQL's user could not reach it.
  const root = join(folder, 'project');
  const bin = join(folder, 'bin');
  await mkdir(root);
  await mkdir(bin);
  const env = {
    PATH: [bin, process.env['PATH']].join(delimiter),
    HOME: folder,
    GIT_CONFIG_NOSYSTEM: '1',
    ...Object.fromEntries(
      ['AUTHOR', 'COMMITTER'].flatMap((who) => [
        [`GIT_${who}_NAME`, 'a'],
        [`GIT_${who}_EMAIL`, 'a@example.org'],
      ]),
    ),
  };
  const git = (...args: readonly string[]) => exec('git', [...args], { cwd: root, env });
  await git('init', '-q');
  return {
    root,
    git,
    dbkit: async (...args) => {
      const words = [...args, '--json', '--local', join(folder, 'instance')];
      const { code, stdout, stderr } = await inOneNode(words, { workingDirectory: root, environment: env });
      if (code !== 0) throw Object.assign(new Error(stderr), { code, stderr });
      return (JSON.parse(stdout) as { report: HookReport }).report;
    },
    commit: async (status) => {
      await writeFile(join(bin, 'dbkit'), `#!/bin/sh\necho "asked: $*"\nexit ${status}\n`, { mode: 0o755 });
      return git('commit', '-q', '--allow-empty', '-m', 'work').then(
        ({ stdout, stderr }) => `committed\n${stdout}${stderr}`,
        ({ stdout, stderr }: { stdout: string; stderr: string }) => `refused\n${stdout}${stderr}`,
      );
    },
    write: async (path, text, mode = 0o755) => {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text);
      await chmod(join(root, path), mode);
    },
    read: (path) => readFile(join(root, path), 'utf8'),
  };
}

/** However full this machine's disk may be. */
const roomy = { disk: { warning: 100, critical: 100 } };
const HOOK = '.git/hooks/pre-commit';

describe('dbkit hooks install', () => {
  test('a plain repository: written once, asked at every commit, and gone again', async () => {
    const { root, dbkit, commit, read } = await repository();
    expect(await dbkit('hooks', 'install')).toMatchObject({ outcome: 'installed', path: join(root, HOOK), add: null });
    const once = await read(HOOK);
    expect(once).toMatch(/^#!\/bin\/sh\n# >>> dbkit >>>/);
    expect(await dbkit('hooks', 'install')).toMatchObject({ outcome: 'present' });
    expect(await read(HOOK)).toBe(once);
    expect(await commit(0)).toMatch(/^committed\n[\s\S]*asked: hooks run/);
    expect(await commit(2)).toMatch(/^refused\n[\s\S]*asked: hooks run/);
    expect(await dbkit('hooks', 'uninstall')).toMatchObject({ outcome: 'removed' });
    await expect(stat(join(root, HOOK))).rejects.toThrow('ENOENT');
    expect(await dbkit('hooks', 'uninstall')).toMatchObject({ outcome: 'absent' });
    expect(await commit(2)).toMatch(/^committed/);
  });

  test('a hook that ends with exit keeps every byte and its work, and the check comes before it', async () => {
    const { dbkit, commit, write, read } = await repository();
    const theirs = '#!/usr/bin/env bash\nset -e\necho theirs\nexit 0\n';
    await write(HOOK, theirs);
    expect(await dbkit('hooks', 'install')).toMatchObject({ outcome: 'installed' });
    expect(await commit(0)).toMatch(/^committed\nasked: hooks run\ntheirs|^committed\n[\s\S]*asked: hooks run[\s\S]*theirs/);
    expect(await commit(1)).not.toContain('theirs');
    expect(await dbkit('hooks', 'uninstall')).toMatchObject({ outcome: 'removed' });
    expect(await read(HOOK)).toBe(theirs);
  });

  test('an older block is replaced', async () => {
    const { dbkit, write, read } = await repository();
    await write(HOOK, '#!/bin/sh\n# >>> dbkit >>> old\ndbkit check\n# <<< dbkit <<<\necho theirs\n');
    expect(await dbkit('hooks', 'install')).toMatchObject({ outcome: 'installed' });
    expect(await read(HOOK)).not.toContain('dbkit check');
    expect((await read(HOOK)).match(/>>> dbkit >>>/g)).toHaveLength(1);
    expect(await read(HOOK)).toMatch(/echo theirs\n$/);
  });

  test.each([
    [
      'a hook in another language',
      async ({ write }: Repository) => write(HOOK, '#!/usr/bin/env python3\nprint("theirs")\n'),
      'dbkit hooks run',
    ],
    [
      'a hook that is a link',
      async ({ root, write }: Repository) => {
        await write('hook.sh', '#!/bin/sh\n');
        await rm(join(root, HOOK), { force: true });
        await symlink('../../hook.sh', join(root, HOOK));
      },
      'dbkit hooks run',
    ],
    [
      'the pre-commit framework',
      async ({ write }: Repository) => write('.pre-commit-config.yaml', 'repos: []\n', 0o644),
      'id: dbkit-health',
    ],
    ['lefthook', async ({ write }: Repository) => write('lefthook.yml', 'pre-push: {}\n', 0o644), 'run: dbkit hooks run'],
    [
      'hooks that other repositories share',
      async ({ root, git }: Repository) => void (await git('config', 'core.hooksPath', join(dirname(root), 'shared-hooks'))),
      '# >>> dbkit >>>',
    ],
  ])('%s: nothing is written, and it says what to add', async (_, prepare, add) => {
    const repo = await repository();
    await prepare(repo);
    const before = await repo.read(HOOK).catch(() => undefined);
    const report = await repo.dbkit('hooks', 'install');
    expect(report.outcome).toBe('told');
    expect(report.add).toContain(add);
    expect(await repo.read(HOOK).catch(() => undefined)).toBe(before);
  });

  test('what a person has added to a hook manager’s file is recognised', async () => {
    const { dbkit, write } = await repository();
    await write('.pre-commit-config.yaml', 'repos: []\n');
    const { add } = await dbkit('hooks', 'install');
    await write('.pre-commit-config.yaml', `${add}\n`);
    expect(await dbkit('hooks', 'install')).toMatchObject({ outcome: 'present', add: null });
    expect(await dbkit('hooks', 'uninstall')).toMatchObject({
      outcome: 'absent',
      because: expect.stringContaining('remove the entry dbkit-health'),
    });
  });

  test.each([
    ['husky 9', '.husky/_', 'npm test\n'],
    ['husky 8', '.husky', '#!/usr/bin/env sh\n. "$(dirname -- "$0")/_/husky.sh"\n\nnpm test\n'],
  ])('%s: its own file, without paths of this machine', async (_, hooksPath, theirs) => {
    const { dbkit, git, write, read } = await repository();
    await git('config', 'core.hooksPath', hooksPath);
    await write('.husky/pre-commit', theirs);
    expect(await dbkit('hooks', 'install')).toMatchObject({ outcome: 'installed', path: expect.stringMatching(/\.husky\/pre-commit$/) });
    const text = await read('.husky/pre-commit');
    expect(text).toContain('dbkit hooks run || exit $?');
    expect(text).not.toContain(process.execPath);
    expect(text.endsWith('npm test\n')).toBe(true);
    await dbkit('hooks', 'uninstall');
    expect(await read('.husky/pre-commit')).toBe(theirs);
  });

  test('core.hooksPath within the work tree: written there, and without paths of this machine', async () => {
    const { root, dbkit, git, commit, read } = await repository();
    await git('config', 'core.hooksPath', 'tools/hooks');
    expect(await dbkit('hooks', 'install')).toMatchObject({ outcome: 'installed', path: join(root, 'tools/hooks/pre-commit') });
    expect(await read('tools/hooks/pre-commit')).not.toContain(process.execPath);
    expect(await commit(2)).toMatch(/^refused/);
  });

  test('outside of a work tree it says so and writes nothing', async () => {
    const { root, dbkit } = await repository();
    await rm(join(root, '.git'), { recursive: true });
    await expect(dbkit('hooks', 'install')).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('is in no git work tree') });
  });
});

describe('dbkit hooks run', () => {
  test('while no database is running hooks.whenDown decides; what is ill stops a commit', async () => {
    const instance = await openInstance({ programs: programs!, from: 'template' });
    const answers = async (hooks: object, health = {}): Promise<[number | null, string]> => {
      await configure(instance, { hooks, health: { ...roomy, ...health } });
      const { code, stdout } = await inOneNode(['hooks', 'run'], { workingDirectory: instance.root, environment: instance.env });
      return [code, stdout];
    };
    expect(await answers({})).toEqual([0, 'dbkit: no database is running, so it was not checked (hooks.whenDown: warn)\n']);
    expect(await answers({ whenDown: 'skip' })).toEqual([0, '']);
    expect(await answers({ whenDown: 'fail' })).toEqual([2, expect.stringMatching(/no database is running[\s\S]+git commit --no-verify/)]);
    await configure(instance, {});
    await boot(instance);
    expect(await answers({})).toEqual([
      1,
      expect.stringMatching(/^warning +backups +there is no backup\n[\s\S]+--no-verify` commits nevertheless\n$/),
    ]);
    expect(await answers({ strict: false })).toEqual([0, 'dbkit: the database is healthy, with warnings\n']);
    expect(await answers({ probes: ['write'] })).toEqual([0, 'dbkit: the database is healthy\n']);
    expect(await answers({ strict: false }, { migrations: 'SELECT false' })).toEqual([
      2,
      expect.stringMatching(/^CRITICAL +migrations +the schema is not what the code expects .+\n/m),
    ]);
  });
});
