import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readConfigFile, readEnvironment } from '../../src/config/file.ts';
import type { Logger, Rights, System } from '../../src/kernel/machine.ts';
import { createFiles } from '../../src/machine/files.ts';
import { whoElseMayWrite } from '../../src/machine/trust.ts';

const silent = (): void => undefined;
const silentLog: Logger = { debug: silent, info: silent, error: silent, progress: silent, warn: silent };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dbkit-config-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const someone = { uid: process.getuid!(), gid: process.getgid!(), name: 'someone', home: '/nowhere' };
const needs = {
  self: someone,
  files: createFiles(silentLog),
  rights: { whoElseMayWrite: (path, options) => whoElseMayWrite(path, someone, options) } as Rights,
} satisfies Pick<System, 'self' | 'files' | 'rights'>;
const read = (named: string | undefined) => readConfigFile(named, folder, needs);
const put = async (name: string, text: string): Promise<string> => {
  await writeFile(join(folder, name), text);
  return join(folder, name);
};

test('the nearest dbkit.yaml upward is taken, unless one is named', async () => {
  const path = await put('dbkit.yaml', 'maxBackups: 2');
  await put('other.yaml', 'maxBackups: 3');
  await mkdir(join(folder, 'a/b'), { recursive: true });
  expect(await readConfigFile(undefined, join(folder, 'a/b'), needs)).toEqual({ path, value: { maxBackups: 2 } });
  expect(await read('other.yaml')).toMatchObject({ value: { maxBackups: 3 } });
});

test.each([
  ['is missing', undefined, /does not exist/],
  ['does not parse', 'a: [b\nc', /line 2, column 1/],
  ['has an alias that leads nowhere', 'a: *b', /alias/],
])('a file that %s is refused, with the reason', async (_, text, message) => {
  if (text !== undefined) await put('bad.yaml', text);
  await expect(read('bad.yaml')).rejects.toMatchObject({ code: 'config.invalid', message: expect.stringMatching(message) });
});

test('NAME_FILE is read without its last line end; an empty NAME means unset', async () => {
  const secret = await put('secret', 'pass word \n\n');
  expect(await readEnvironment({ DATABASE_PASSWORD_FILE: secret, PGPORT: '', UNRELATED: 'x' })).toEqual({
    environment: [
      { name: 'DATABASE_PASSWORD', text: 'pass word \n', from: { kind: 'secret-file', path: secret, variable: 'DATABASE_PASSWORD_FILE' } },
    ],
    problems: [],
  });
});

test('NAME beside NAME_FILE and unreadable files are problems, all of them', async () => {
  const { environment, problems } = await readEnvironment({
    PGPORT: '1',
    PGPORT_FILE: '/x',
    PGDATA: '/a',
    LOG_DIR_FILE: join(folder, 'no'),
  });
  expect(environment.map(({ name }) => name)).toEqual(['PGDATA']);
  expect(problems).toEqual([
    expect.stringMatching(/^both PGPORT and PGPORT_FILE are set/),
    expect.stringMatching(/^LOG_DIR_FILE names .*\(ENOENT\)/),
  ]);
});

test.each([
  ['\n', 'pass'],
  ['\r\n', 'pass'],
  ['', 'pass'],
  ['\n\n', 'pass\n'],
])('of a secret that ends in %j only one line end is taken away', async (end, text) => {
  const secret = await put('secret', `pass${end}`);
  expect((await readEnvironment({ PGDATA_FILE: secret })).environment).toMatchObject([{ name: 'PGDATA', text }]);
});

test('an empty NAME does not exclude NAME_FILE, and an empty NAME_FILE is none', async () => {
  const secret = await put('secret', '/data');
  expect(await readEnvironment({ PGDATA: '', PGDATA_FILE: secret, PGPORT: '1', PGPORT_FILE: '' })).toMatchObject({
    environment: [
      { name: 'PGDATA', text: '/data' },
      { name: 'PGPORT', text: '1' },
    ],
    problems: [],
  });
});

test('a folder that bears the name of the file is passed over', async () => {
  const path = await put('dbkit.yaml', 'maxBackups: 2');
  await mkdir(join(folder, 'a/dbkit.yaml'), { recursive: true });
  expect(await readConfigFile(undefined, join(folder, 'a'), needs)).toMatchObject({ path });
});
