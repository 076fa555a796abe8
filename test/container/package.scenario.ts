import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { installed, runnable } from '../harness/majors.ts';
import { emptyFolder, pack } from '../harness/package.ts';

const execute = promisify(execFile);
const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };

/** The oldest that package.json allows, and the newest of what it is tested on; npm has Node's own binaries. */
test.each(['20.19.0', '20', '22', '24'])(
  '`npm i -g` on Node %s: it serves, takes a backup, and lets itself be read about',
  async (node) => {
    const folder = await emptyFolder();
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
    await execute('npm', [
      'install',
      ...quiet,
      '--no-save',
      '--prefix',
      join(folder, 'node'),
      `node-${process.platform}-${process.arch}@${node}`,
    ]);
    const binaries = join(folder, 'node/node_modules', `node-${process.platform}-${process.arch}`, 'bin');
    const { directory } = await runnable(installed[0]!);
    const PATH = [join(folder, 'global/bin'), binaries, process.env['PATH']].join(delimiter);
    const env = { ...process.env, PATH, POSTGRES_BIN_DIR: directory };
    const project = join(folder, 'project');
    await mkdir(project);
    const run = async (file: string, ...args: string[]): Promise<string> =>
      (await execute(file, args, { cwd: project, env })).stdout.trim();
    expect((await run('node', '--version')).startsWith(`v${node}`)).toBe(true);
    const { tarball } = await pack(folder);
    await run('npm', 'install', ...quiet, '--global', '--prefix', join(folder, 'global'), tarball);
    expect(await run('dbkit', '--version')).toBe(version);
    expect(existsSync(join(folder, 'global/share/man/man1/dbkit.1'))).toBe(true);
    expect(await run('bash', '-c', 'source <(dbkit completion bash) && complete -p dbkit')).toContain('_dbkit');
    expect(await run('dbkit', 'k8s', 'render', '--name', 'shop')).toContain('name: shop-backup');
    try {
      expect(await run('dbkit', 'up', '--local', '--detach')).toBe('up');
      await run('dbkit', 'backup', 'create', '--local');
      expect(await run('dbkit', 'backup', 'verify', '--local', '--deep')).toMatch(/^ok /);
      expect(await run('dbkit', 'health', '--local', '--probe', 'connection', 'authentication', 'write')).toContain('healthy');
    } finally {
      expect(await run('dbkit', 'down', '--local')).toBe('stopped');
    }
  },
);
