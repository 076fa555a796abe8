import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { InitReport } from '../../src/homes/devcontainer/init.ts';
import { inOneNode } from '../harness/one-node.ts';

const exec = promisify(execFile);

/** A folder with an `npm` that packs once: it takes seconds, and the same files make the same package for every project here. */
let bin: string;
beforeAll(async () => {
  bin = await mkdtemp(join(tmpdir(), 'dbkit-npm-'));
  const npm = (await exec('sh', ['-c', 'command -v npm'])).stdout.trim();
  const script = `#!/bin/sh
for to; do :; done
to="\${to#--pack-destination=}"
[ -e "$0.tgz" ] && exec cp "$0.tgz" "$to/dbkit.tgz"
'${npm}' "$@" && cp "$to"/*.tgz "$0.tgz"
`;
  await writeFile(join(bin, 'npm'), script, { mode: 0o755 });
});
afterAll(() => rm(bin, { recursive: true, force: true }));

interface Answer {
  readonly status: number;
  readonly report?: InitReport;
  readonly failure?: { readonly code: string; readonly message: string; readonly hint: string };
}

/** A folder with these files, and `dbkit init devcontainer` in it. */
async function project(files: Readonly<Record<string, string>> = {}) {
  const root = join(await mkdtemp(join(tmpdir(), 'dbkit-init-')), 'shop');
  onTestFinished(() => rm(dirname(root), { recursive: true, force: true }));
  await mkdir(root);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  const read = (path: string): Promise<string | undefined> => readFile(join(root, path), 'utf8').catch(() => undefined);
  const environment = { ...process.env, PATH: [bin, process.env['PATH']].join(delimiter) };
  const dbkit = async (...words: readonly string[]): Promise<Answer> => {
    const { code, stdout } = await inOneNode([...words, '--json'], { workingDirectory: root, environment });
    return { status: code!, ...(JSON.parse(stdout) as object) };
  };
  const init = (...flags: readonly string[]): Promise<Answer> => dbkit('init', 'devcontainer', ...flags);
  return { root, read, init, dbkit };
}

const written = ['.devcontainer/devcontainer.json', '.devcontainer/Dockerfile', '.gitignore', '.devcontainer/dbkit.tgz'];

test('an empty project gets a dev container with this very dbkit in it, once', async () => {
  const { root, read, init } = await project();
  expect((await init('--dry-run')).report).toMatchObject({ outcome: 'planned', files: written.map(() => ({ action: 'create' })) });
  expect(await read(written[0]!)).toBeUndefined();
  expect((await init()).report).toMatchObject({ outcome: 'written', files: written.map((path) => ({ path: join(root, path) })) });
  expect(await read('.devcontainer/devcontainer.json')).toMatch(/"name": "shop",[\s\S]*\/\/ The default replaces/);
  const { stdout } = await exec('tar', ['-tzf', join(root, '.devcontainer/dbkit.tgz')]);
  expect(stdout).toMatch(/package\/dist\/main\.js[\s\S]*package\/\.devcontainer|package\/\.devcontainer[\s\S]*package\/dist\/main\.js/);
  expect((await init()).report).toMatchObject({ outcome: 'present' });
});

test('with compose there is a compose file, and the next run knows it', async () => {
  const { read, init } = await project();
  await init('--compose');
  expect(await read('.devcontainer/devcontainer.json')).toContain('"dockerComposeFile": "compose.yaml"');
  expect(await read('.devcontainer/compose.yaml')).toContain('stop_grace_period: 10s');
  expect((await init()).report).toMatchObject({ outcome: 'present' });
});

test('what a person set is changed only with --yes; his comments stay', async () => {
  const text = '{\n  // ours\n  "image": "node:22", // pinned\n  "forwardPorts": [3000]\n}\n';
  const { read, init } = await project({ '.devcontainer/devcontainer.json': text, '.gitignore': 'node_modules\n' });
  expect(await init()).toMatchObject({
    status: 73,
    failure: { code: 'file.exists', message: expect.stringMatching(/would change: image$/) },
  });
  expect(await read('.devcontainer/devcontainer.json')).toBe(text);
  expect(await init('--yes')).toMatchObject({ status: 0, report: { outcome: 'written' } });
  expect(await read('.devcontainer/devcontainer.json')).toMatch(
    /\/\/ ours\n {2}"build": \{[\s\S]*?\}, \/\/ pinned\n {2}"forwardPorts": \[3000, 5432\]/,
  );
  expect(await read('.gitignore')).toBe('node_modules\n.DB_*/\n');
  expect((await init()).report).toMatchObject({ outcome: 'present' });
});

test('a Dockerfile of the project’s own is left alone, and the person is told what it needs', async () => {
  const { read, init } = await project({
    '.devcontainer/devcontainer.json': '{ "build": { "dockerfile": "Dockerfile" } }',
    '.devcontainer/Dockerfile': 'FROM debian\n',
  });
  expect(await init('--yes')).toMatchObject({
    status: 0,
    report: { outcome: 'told', add: expect.stringContaining('"dbkit", "entrypoint"') },
  });
  expect(await read('.gitignore')).toBeUndefined();
});

test('a stray Dockerfile is never written over', async () => {
  const { init } = await project({ '.devcontainer/Dockerfile': 'FROM debian\n' });
  expect(await init('--yes')).toMatchObject({ status: 73, failure: { message: expect.stringMatching(/does not run dbkit/) } });
});

test('a broken devcontainer.json is refused with its line', async () => {
  const { init } = await project({ '.devcontainer.json': '{\n  "image": ,\n}' });
  expect(await init()).toMatchObject({
    status: 78,
    failure: { message: expect.stringMatching(/\.devcontainer\.json cannot be read: line 2/) },
  });
});

test('a file that is a link stays one', async () => {
  const { root, read, init } = await project({ 'shared-ignore': 'x\n' });
  await symlink('shared-ignore', join(root, '.gitignore'));
  await init();
  expect(await readlink(join(root, '.gitignore'))).toBe('shared-ignore');
  expect(await read('shared-ignore')).toBe('x\n.DB_*/\n');
});

const composed = `services:
  db:
    image: postgres:16 # pinned
    volumes:
      - pgdata:/var/lib/postgresql/data
volumes:
  pgdata:
`;

test('a compose file with postgres:16 is shown its change, and changes only with --yes; the next run knows it', async () => {
  const { read, dbkit } = await project({ 'compose.yaml': composed });
  expect(await dbkit('init', 'compose')).toMatchObject({ status: 2, failure: { message: expect.stringMatching(/two ways/) } });
  const planned = await dbkit('init', 'compose', '--as', 'entrypoint', '--dry-run');
  expect(planned).toMatchObject({ status: 0, report: { outcome: 'planned', service: 'db', image: 'postgres:16' } });
  expect((planned.report as unknown as { diff: string[] }).diff).toContain('+     build: ./dbkit # pinned');
  expect(await dbkit('init', 'compose', '--as', 'entrypoint')).toMatchObject({ status: 73, failure: { code: 'file.exists' } });
  expect(await read('compose.yaml')).toBe(composed);
  expect(await read('dbkit/Dockerfile')).toBeUndefined();
  expect(await dbkit('init', 'compose', '--as', 'entrypoint', '--yes')).toMatchObject({ status: 0, report: { outcome: 'written' } });
  expect(await read('dbkit/Dockerfile')).toMatch(/^FROM postgres:16$/m);
  expect(await read('dbkit/dbkit.yaml')).toContain('listenAddresses: "*"');
  expect(await read('compose.yaml')).toContain('    build: ./dbkit # pinned\n');
  expect(await dbkit('init', 'compose')).toMatchObject({ status: 0, report: { outcome: 'present' } });
});

test('a dev container that is made of compose files is offered the same, in the file that it names', async () => {
  const { read, dbkit } = await project({
    '.devcontainer/devcontainer.json': '{ "dockerComposeFile": ["compose.yml"], "service": "app" }',
    '.devcontainer/compose.yml': composed,
  });
  expect(await dbkit('init', 'devcontainer')).toMatchObject({ status: 2, failure: { message: expect.stringMatching(/two ways/) } });
  expect(await dbkit('init', 'devcontainer', '--as', 'beside', '--yes')).toMatchObject({ status: 0, report: { outcome: 'written' } });
  expect(await read('.devcontainer/compose.yml')).toContain('image: postgres:16 # pinned');
  expect(await read('.devcontainer/compose.yml')).toMatch(/ {2}dbkit:\n {4}build: \.\/dbkit\n/);
  expect(await read('.devcontainer/dbkit/Dockerfile')).toContain('"beside"]');
});

test('a folder of that name that is somebody else’s is never written over', async () => {
  const { read, dbkit } = await project({ 'compose.yaml': composed, 'dbkit/Dockerfile': 'FROM mine\n' });
  expect(await dbkit('init', 'compose', '--as', 'entrypoint', '--yes')).toMatchObject({ status: 73 });
  expect(await read('dbkit/Dockerfile')).toBe('FROM mine\n');
  expect(await read('compose.yaml')).toBe(composed);
});

test('settings that somebody has written are never written over, also where dbkit wrote the file once', async () => {
  const own = 'postgresql:\n  settings: { work_mem: 64MB }\n';
  const { root, read, dbkit } = await project({ 'compose.yaml': composed, 'dbkit/dbkit.yaml': own });
  const refused = await dbkit('init', 'compose', '--as', 'entrypoint', '--yes');
  expect(refused).toMatchObject({
    status: 73,
    failure: { message: expect.stringContaining('dbkit.yaml'), hint: expect.stringMatching(/move/) },
  });
  expect(await read('dbkit/dbkit.yaml')).toBe(own);
  expect(await read('compose.yaml')).toBe(composed);
  await rm(join(root, 'dbkit/dbkit.yaml'));
  expect(await dbkit('init', 'compose', '--as', 'entrypoint', '--yes')).toMatchObject({ status: 0 });
  await writeFile(join(root, 'compose.yaml'), composed); // As its owner goes back, and forth again.
  expect(await dbkit('init', 'compose', '--as', 'entrypoint', '--yes')).toMatchObject({ status: 0 });
});

test('a password of the compose file is in no report', async () => {
  const secret = composed.replace('volumes:', "environment:\n      POSTGRES_PASSWORD: 'hunter2hunter2'\n    volumes:");
  const { read, dbkit } = await project({ 'compose.yaml': secret });
  for (const way of ['beside', 'entrypoint']) {
    const { report } = await dbkit('init', 'compose', '--as', way, '--dry-run');
    expect(JSON.stringify(report), way).toContain('POSTGRES_PASSWORD');
    expect(JSON.stringify(report), way).not.toContain('hunter2');
  }
  expect(await dbkit('init', 'compose', '--as', 'beside', '--yes')).toMatchObject({ status: 0 });
  expect((await read('compose.yaml'))!.match(/hunter2hunter2/g), 'the file itself has it').toHaveLength(2);
});

test.each([
  ['no compose file', {}, [], /no compose file/],
  ['no PostgreSQL', { 'compose.yaml': 'services:\n  web:\n    image: nginx\n' }, [], /no service of .* runs PostgreSQL/],
  [
    'several',
    { 'compose.yaml': 'services:\n  a:\n    image: postgres\n  b:\n    image: postgres\n' },
    [],
    /several services run PostgreSQL: a, b/,
  ],
  ['another service', { 'compose.yaml': composed }, ['--service', 'x'], /no service x .* there is db/],
])('%s is wrong usage, with what is there', async (_what, files, flags, words) => {
  const { dbkit } = await project(files);
  expect(await dbkit('init', 'compose', '--as', 'beside', ...flags)).toMatchObject({
    status: 2,
    failure: { message: expect.stringMatching(words) },
  });
});
