import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** The executable with another program behind it; undefined: none, as before a build. */
function run(program: string | undefined, args: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'dbkit-executable-'));
  folders.push(folder);
  for (const name of ['bin', 'dist']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  for (const name of ['bin/package.json', 'bin/dbkit.js', 'bin/program.js']) copyFileSync(name, join(folder, name));
  if (program !== undefined) writeFileSync(join(folder, 'dist/main.js'), program);
  const { status, stderr } = spawnSync(process.execPath, [join(folder, 'bin/dbkit.js'), ...args], { encoding: 'utf8' });
  return { status, stderr };
}

const FETCH = ['--quiet', 'wal', 'fetch', '000000010000000000000001', 'pg_wal/RECOVERYXLOG'];
const forever = 'exports.main = () => new Promise(() => undefined);';
const thrown = "exports.main = () => new Promise(() => setImmediate(() => { throw new Error('odd'); }));";
const short =
  "exports.main = () => new Promise(() => setImmediate(() => { throw Object.assign(new Error('too many'), { code: 'EMFILE' }); }));";

test.each([
  ['a wait that nothing can end', forever, 70, 'cannot happen any more'],
  ['an error that nobody caught', thrown, 70, 'odd'],
  ['a machine that is short of something', short, 69, 'too many'],
  ['a program that was not built', undefined, 1, 'has not been built'],
])('%s ends with a status of dbkit’s own, and restore_command with one that stops the recovery', (_name, program, status, words) => {
  const said = run(program, ['status']);
  expect(said).toEqual({ status, stderr: expect.stringContaining(words) });
  expect(said.stderr.match(/^dbkit: /gm)).toHaveLength(1);
  expect(run(program, FETCH)).toEqual({ status: 126, stderr: expect.stringContaining(words) });
});

test('a status that the program chose is kept, 13 too', () => {
  expect(run('exports.main = async () => 13;', ['entrypoint'])).toEqual({ status: 13, stderr: '' });
});

test.each([
  [0, 0],
  [1, 1],
  [2, 126],
  [70, 126],
  [78, 126],
  [126, 126],
  [143, 143],
])('restore_command that ends with %i tells PostgreSQL %i: only 1 says that the archive has no more', (status, told) => {
  const program = `exports.main = async () => ${status};`;
  expect(run(program, FETCH).status).toBe(told);
  expect(run(program, ['entrypoint', '--', 'wal', 'fetch']).status, 'a command has its own status').toBe(status);
});

test('what another Node has compiled is not run: V8 would take it, and Node patches its bytecode within a version', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dbkit-executable-'));
  folders.push(folder);
  for (const name of ['bin', 'dist']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  for (const name of ['bin/package.json', 'bin/dbkit.js', 'bin/program.js']) copyFileSync(name, join(folder, name));
  const [main, cache] = [join(folder, 'dist/main.js'), join(folder, 'dist/code-cache.bin')];
  const status = (): number | null => spawnSync(process.execPath, [join(folder, 'bin/dbkit.js'), 'status']).status;
  writeFileSync(main, 'exports.main = async () => 3;');
  const script = `const { main, codeCache } = (await import(${JSON.stringify(join(folder, 'bin/program.js'))})).openProgram();
    await main([]); (await import('node:fs')).writeFileSync(${JSON.stringify(cache)}, codeCache());`;
  expect(spawnSync(process.execPath, ['--input-type=module', '--eval', script]).status).toBe(0);
  writeFileSync(main, 'exports.main = async () => 4;'); // Of the same length, which is all that V8 compares.
  expect(status()).toBe(3);
  const made = readFileSync(cache, 'latin1');
  writeFileSync(
    cache,
    made.replace(
      process.versions.v8,
      process.versions.v8.replace(/.$/, (last) => (last === '9' ? '8' : '9')),
    ),
    'latin1',
  );
  expect(status()).toBe(4);
});
