import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Ended, program, run } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { inOneNode } from '../harness/one-node.ts';
import { isLongTier } from '../harness/tier.ts';

const [programs] = installed;

/** The one document on stdout; fails when there is more, or anything else. */
function documentOf(
  { stdout, stderr }: Ended,
  command: string,
): { readonly ok: boolean; readonly report?: unknown; readonly failure?: unknown } {
  expect(stdout, `stdout of \`dbkit ${command} --json\`; stderr said: ${stderr}`).toMatch(/^\{[\s\S]*\}\n$/);
  const document = JSON.parse(stdout) as { schema: string; ok: boolean };
  expect(document.schema).toMatch(/^dbkit\.[a-z0-9-]+\/v1$/);
  return document;
}

/** Tests of their own read the document of a success each day; here they would take a third of the time. */
const longer = ['backup restore latest --yes', 'backup undo --yes', 'backup drill', 'maintenance restart', 'salvage'];
/** They ask files alone, and nobody has to become somebody else: one Node is enough for all of them. */
const short = /^(config|completion|k8s|systemd|init)\b/;

/** One life of an instance: every command, in an order in which each of them can succeed. */
const life = [
  'config show',
  'config check',
  'config schema',
  'config init',
  'completion bash',
  'services',
  'inspect',
  'inspect --deep',
  'recover --dry-run',
  'recover',
  'recover history',
  'status',
  'up --detach',
  'status --wait',
  'maintenance status',
  'health --probe connection write',
  'maintenance health --probe connection write',
  'maintenance backup',
  'maintenance list-backups',
  'maintenance cleanup --dry-run',
  'maintenance',
  'maintenance analyze',
  'maintenance checkpoint',
  'monitor --once',
  'monitor status',
  'k8s render',
  'systemd print',
  'init devcontainer --dry-run',
  'backup create --full --note twice --pin',
  'backup list',
  'copies',
  'backup show latest',
  'backup verify --all --deep',
  'backup pin --remove latest',
  'backup cleanup --dry-run',
  'backup restore latest --dry-run',
  'backup restore latest --yes',
  'backup undo --yes',
  'backup drill',
  'backup open latest -- true',
  'restart postgresql',
  'maintenance restart',
  'down',
  'down',
  'salvage',
  'entrypoint -- true',
];

test('every command prints exactly one document when it succeeds', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const from = { workingDirectory: instance.root, environment: instance.env };
  for (const command of life.filter((each) => isLongTier || !longer.includes(each))) {
    const [words, behind] = command.split(' -- ');
    const argv = [...words!.split(' '), '--json', ...(behind ? ['--', behind] : [])];
    const ended = await (short.test(command) ? inOneNode(argv, from) : run(instance, argv));
    expect(documentOf(ended, command), command).toMatchObject({ ok: true });
    expect(ended.code, `status of \`dbkit ${command}\``).toBe(0);
  }
});

test('every command prints exactly one document when it fails, and has touched nothing', async () => {
  const instance = await openInstance({ programs: programs!, from: 'empty' });
  const before = await readdir(instance.root, { recursive: true });
  const from = { workingDirectory: instance.root, environment: instance.env };
  const alone = ['config schema', 'config init', 'completion bash']; // They read no configuration.
  for (const command of new Set(life.map((line) => line.split(' -- ')[0]!))) {
    const wrong = alone.includes(command) ? ['--no-such-flag'] : ['--config', 'nowhere.yaml'];
    const ended = await inOneNode([...command.split(' '), '--json', ...wrong], from);
    expect(documentOf(ended, command), command).toMatchObject({
      ok: false,
      failure: { code: alone.includes(command) ? 'usage.invalid' : 'config.invalid', retryable: false, changed: false },
    });
    expect(ended.code, `status of \`dbkit ${command}\``).toBe(alone.includes(command) ? 2 : 78);
    expect(ended.stderr).not.toBe('');
  }
  expect(await readdir(instance.root, { recursive: true })).toEqual(before);
});

test('what comes behind -- is the command’s own, word for word, and so are its stdout and its status', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const words = ['--json', '--help', '--', 'a b', '$HOME', ''];
  const ended = await run(instance, ['entrypoint', '--', 'sh', '-c', 'printf "%s|" "$@"; exit 42', 'name', ...words]);
  expect(ended).toMatchObject({ code: 42, stdout: words.map((word) => `${word}|`).join('') });
});

test('up --detach fails with the words and the status of what it has started in the background', async () => {
  const instance = await openInstance({ programs: programs!, from: 'empty' });
  await writeFile(join(instance.dataDir, 'thesis.odt'), 'mine');
  const alone = await run(instance, ['up', '--json']);
  const detached = await run(instance, ['up', '--detach', '--json']);
  expect(alone.code).toBe(77);
  expect({ code: detached.code, ...documentOf(detached, 'up') }).toEqual({ code: 77, ...documentOf(alone, 'up') });
});

test('--local keeps everything below one folder, also where a socket’s path would be too long, and every command finds it', async () => {
  const instance = await openInstance({ programs: programs!, from: 'empty' });
  const options = { env: { PGPORT: undefined } };
  const folder = join(instance.root, 'local'.padEnd(90, '-')); // Longer than the name of a socket may be.
  const ask = async (command: string) =>
    documentOf(await run(instance, [...command.split(' '), '--json', `--local=${folder}`], options), command);
  expect(await ask('up --detach')).toMatchObject({ ok: true, report: { outcome: 'up', status: { mode: 'up' } } });
  expect(await ask('status')).toMatchObject({
    report: { readiness: 'accepting', supervisor: { mode: 'up' }, instance: { dataDir: join(folder, 'data') } },
  });
  expect(await ask('inspect')).toMatchObject({ report: { dataDir: join(folder, 'data'), state: 'cluster' } });
  expect(await ask('down')).toMatchObject({ report: { outcome: 'stopped' } });
  const { report } = (await ask('config show')) as { report: { settings: { path: string; value: string }[] } };
  const socketDir = report.settings.find(({ path }) => path === 'postgresql.socketDir')!.value;
  expect(socketDir).toMatch(/^\/tmp\/dbkit-[0-9a-f]{8}$/);
  await rm(socketDir, { recursive: true, force: true });
  expect(await readdir(instance.root)).toEqual(expect.arrayContaining([basename(folder)]));
  expect(await readdir(instance.dataDir)).toEqual([]);
});

/** Runs the executable itself with other surroundings than a test's. */
const spawned = (file: string, args: readonly string[], nodeFlags: readonly string[] = []) =>
  spawnSync(process.execPath, [...nodeFlags, file, ...args], { encoding: 'utf8' });

test('a checkout that was never built says how to build it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-bare-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'bin'));
  await copyFile(join(dirname(program), '../package.json'), join(folder, 'package.json'));
  for (const file of ['package.json', 'dbkit.js', 'program.js']) await copyFile(join(dirname(program), file), join(folder, 'bin', file));
  expect(spawned(join(folder, 'bin/dbkit.js'), ['status'])).toMatchObject({ status: 1, stderr: expect.stringContaining('npm run build') });
});

test('a Node that is too old is named, and nothing is loaded', () => {
  const older = `data:text/javascript,${encodeURIComponent("Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.18.3'}})")}`;
  const { status, stderr } = spawned(program, ['status'], ['--import', older]);
  expect({ status, stderr }).toEqual({ status: 1, stderr: 'dbkit: Node 20.18.3 is too old\nHINT: install Node 20.19 or newer\n' });
});

test('a reader that goes away is no failure', () => {
  const piped = spawnSync('bash', ['-c', `set -o pipefail; "${process.execPath}" "${program}" config schema | head -c 1`], {
    encoding: 'utf8',
  });
  expect(piped).toMatchObject({ status: 0, stdout: '{', stderr: '' });
});
