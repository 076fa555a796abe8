import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installed, runnable } from '../harness/majors.ts';
import { emptyFolder, type Package, pack, tourOf } from '../harness/package.ts';
import { nightly } from '../harness/tier.ts';

const execute = promisify(execFile);
const SIZE_MAX = 3_200_000; // Packed; the S3 client and zstd, loaded where they are asked for, are a fifth of it, what V8 has compiled two fifths: a start is 30 ms shorter by it.

let packed: Package;
let folderOfPackage: string;
beforeAll(async () => {
  folderOfPackage = await mkdtemp(join(tmpdir(), 'dbkit-package-'));
  packed = await pack(folderOfPackage);
});
afterAll(() => rm(folderOfPackage, { recursive: true, force: true }));

test('the package holds what is used, and nothing of those who make it', () => {
  const { files, sizeBytes } = packed;
  expect(
    files.filter((path) => !/^(bin|dist|docs|deploy|\.devcontainer)\/|^(package\.json|LICENSE|(README|CHANGELOG)\.md)$/.test(path)),
  ).toEqual([]);
  expect(files).toEqual(
    expect.arrayContaining([
      'CHANGELOG.md',
      'LICENSE',
      'bin/dbkit.js',
      'bin/dbkit-init',
      'dist/main.js',
      'docs/man/dbkit.1',
      'deploy/Dockerfile',
      '.devcontainer/devcontainer.json', // What `dbkit init devcontainer` writes.
    ]),
  );
  expect(files.filter((path) => /(?<!\.d)\.(ts|map)$|\.test\.|tsconfig/.test(path))).toEqual([]);
  expect(sizeBytes).toBeLessThan(SIZE_MAX);
});

test('what V8 has compiled names no folder of whoever built it', async () => {
  expect((await readFile('dist/code-cache.bin')).includes(resolve('dist'))).toBe(false);
});

/** A folder with an `npx` that starts what is installed, as npm's would after three times as long as the command itself takes. */
async function quickNpx(): Promise<string> {
  const folder = await emptyFolder();
  await writeFile(join(folder, 'npx'), '#!/bin/sh\nexec "./node_modules/.bin/$@"\n', { mode: 0o755 });
  return folder;
}

nightly('a plugin is written against the types that the package exports, as docs/PLUGINS.md shows it', async () => {
  const folder = await emptyFolder();
  await execute('npm', ['run', '--silent', 'build:types']); // As `prepack` does; the build alone makes none.
  const { tarball } = await pack(folder);
  await execute('npm', ['install', '--no-audit', '--no-fund', '--offline', tarball], { cwd: folder });
  await symlink(resolve('node_modules/@types'), join(folder, 'node_modules/@types'));
  const [, module = ''] = /```ts\n([\s\S]*?)```/.exec(await readFile('docs/PLUGINS.md', 'utf8')) ?? [];
  await writeFile(join(folder, 'clock.ts'), module);
  const flags = ['--ignoreConfig', '--noEmit', '--strict', '--module', 'NodeNext', '--target', 'ES2023', '--types', 'node'];
  await execute(resolve('node_modules/.bin/tsc'), [...flags, 'clock.ts'], { cwd: folder });
  await writeFile(join(folder, 'broken.ts'), module.replace("name: 'clock',\n  create", 'create'));
  await expect(execute(resolve('node_modules/.bin/tsc'), [...flags, 'broken.ts'], { cwd: folder })).rejects.toMatchObject({
    stdout: expect.stringContaining("Property 'name' is missing"),
  });
});

test('what is bundled comes with its license', async () => {
  const notices = await readFile('dist/third-party-licenses.txt', 'utf8');
  for (const name of ['commander', 'pg', 'valibot', 'yaml', 'execa', 'inquirer', 'nodemailer'])
    expect(notices, name).toMatch(new RegExp(`^${name} [\\d.]+ \\((MIT|ISC|MIT-0)\\)$`, 'm'));
});

test('its metadata say what npm and its users need', async () => {
  const about = JSON.parse(await readFile('package.json', 'utf8')) as Record<string, unknown>;
  expect(about).toMatchObject({
    license: 'MIT',
    man: ['docs/man/dbkit.1'],
    publishConfig: { provenance: true },
    repository: { type: 'git', url: expect.stringMatching(/^git\+https:/) },
    engines: { node: expect.stringMatching(/^>=20/) },
    keywords: expect.arrayContaining(['postgresql', 'backup', 'kubernetes']),
  });
  expect(await readFile('CHANGELOG.md', 'utf8')).toContain(`\n## ${String(about['version'])}\n`);
});

/** Lines of both streams; what is the reader's own is as in the README: the folder, the time, sizes, the port, the cluster's number. */
const linesOf = (said: string, folder: string): string[] =>
  said
    .replaceAll(folder, '/srv/app')
    .replace(/^\d\d:\d\d:\d\dZ/gm, '00:00:00Z')
    .replace(/(?<=localhost:)\d+/g, '5432')
    .replace(/[\d.]+ MiB, cluster \d+/g, '60 MiB, cluster 7')
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
    .sort();
const isLogged = (line: string): boolean => line.startsWith('00:00:00Z');

test('installed into an empty folder it brings nothing else, and the README’s tour goes as it is told there', async () => {
  const folder = await emptyFolder();
  await execute('npm', ['install', '--no-audit', '--no-fund', '--offline', packed.tarball], { cwd: folder });
  expect((await readdir(join(folder, 'node_modules'))).filter((name) => !name.startsWith('.'))).toEqual(['dbkit']);
  const { directory } = await runnable(installed[0]!);
  const { stdout: version } = await execute('npx', ['dbkit', '--version'], { cwd: folder });
  expect(version).toMatch(/^\d+\.\d+\.\d+\n$/);
  const env = { ...process.env, POSTGRES_BIN_DIR: directory, PATH: [await quickNpx(), process.env['PATH']].join(delimiter) };
  const steps = await tourOf('One minute');
  expect(steps.length).toBeGreaterThan(4);
  try {
    for (const { command, shown } of steps) {
      const { stdout, stderr } = await execute('bash', ['-c', command], { cwd: folder, env });
      const said = `${stdout}${stderr}`;
      const [seen, told] = [linesOf(said, folder), linesOf(shown.join('\n'), '/srv/app')];
      expect(seen, `$ ${command}\n${said}`).toEqual(expect.arrayContaining(told));
      expect(
        seen.filter((line) => !isLogged(line)),
        'nothing is printed that is not shown, but lines of the log',
      ).toEqual(told.filter((line) => !isLogged(line)));
    }
  } finally {
    await execute('npx', ['dbkit', 'down', '--local'], { cwd: folder, env }).catch(() => undefined);
  }
});
