import { appendFile, chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { remove } from '../harness/breaking.ts';
import { boot, inspect, readStatus, run } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';

const [programs] = installed;
const open = (from: 'template' | 'empty') => openInstance({ programs: programs!, from });

/** Whether the application gets in over TCP, where a password is asked for. */
async function letsIn(port: number, user: string, password: string): Promise<boolean> {
  const client = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'postgres' });
  client.on('error', () => undefined);
  const entered = await client.connect().then(
    () => true,
    () => false,
  );
  await client.end().catch(() => undefined);
  return entered;
}

test('a look at a directory that is being served says so, and finds nothing wrong', async () => {
  const instance = await open('template');
  const running = await boot(instance);
  await ask(instance, 'app', 'CREATE TABLE fresh AS SELECT i FROM generate_series(1, 1000) i');
  const { findings, exit } = await inspect(instance);
  expect(findings.map(({ code }) => code)).toEqual(['server.running']);
  expect(findings[0]?.evidence).toContain(`pid ${(await readStatus(instance))?.services[0]?.pid}`);
  expect(exit).toBe(0);
  await running.stop();
});

test('recover leaves a server alone that answers and lacks nothing', async () => {
  const instance = await open('template');
  const running = await boot(instance);
  const started = () => askNumber(instance, 'app', 'SELECT extract(epoch FROM pg_postmaster_start_time()) * 1000');
  const before = await started();
  for (const strategy of [[], ['--strategy', 'repair']]) {
    const ended = await run(instance, ['recover', '--yes', ...strategy]);
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expect(ended.stdout).toBe('nothing to do: it runs\n');
  }
  expect(await started(), 'it was not started again').toBe(before);
  await running.stop();
});

test('a password that is configured is the role’s at the next start; the default never takes the place of one', async () => {
  const instance = await open('empty');
  const accepted = async (password: string | undefined, then?: string): Promise<string[]> => {
    const running = await boot(instance, { env: { DATABASE_USERNAME: 'clerk', DATABASE_PASSWORD: password } });
    const words: string[] = [];
    for (const word of ['first', 'second', 'by hand', 'password']) if (await letsIn(instance.port, 'clerk', word)) words.push(word);
    if (then) await ask(instance, 'postgres', then);
    await running.stop();
    return words;
  };
  expect(await accepted('first')).toEqual(['first']);
  expect(await accepted('second', `ALTER ROLE clerk PASSWORD 'by hand'`)).toEqual(['second']);
  expect(await accepted(undefined)).toEqual(['by hand']);
});

test('with --json the document is alone on stdout, and what CMD prints is on stderr', async () => {
  const instance = await open('template');
  const ended = await run(instance, ['entrypoint', '--json', '--', 'echo', 'from the command']);
  expect(JSON.parse(ended.stdout)).toMatchObject({ schema: 'dbkit.entrypoint/v1', ok: true, report: { exitStatus: 0 } });
  expect(ended.stderr).toContain('from the command');
});

test('a CMD that cannot be run ends with a shell’s statuses', async () => {
  const instance = await open('template');
  const script = join(instance.root, 'script');
  await writeFile(script, '#!/bin/sh\n');
  await chmod(script, 0o644);
  expect(await run(instance, ['entrypoint', '--', script])).toMatchObject({ code: 126 });
  expect(await run(instance, ['entrypoint', '--', 'no-such-program'])).toMatchObject({ code: 127 });
});

test('a start reads the repository only where a backup could decide something', async () => {
  const instance = await open('template');
  await (await boot(instance)).stop(); // Else nobody has noted what the files were, and a backup could tell.
  const label = 'data_20200101_000000';
  await mkdir(join(instance.backupDir, label), { recursive: true });
  await writeFile(join(instance.backupDir, `${label}.json`), 'torn');
  const plain = await boot(instance);
  expect(plain.words(), 'and all the WAL since the newest backup would be read with it').not.toMatch(/is ignored/);
  await plain.stop();
  await remove(instance, 'base'); // Now one is wanted.
  const wanting = await run(instance, ['recover', '--dry-run']);
  expect(wanting.stderr).toMatch(/data_20200101_000000 cannot be read, so this backup is ignored/);
});

test('a deep look lets the server read its configuration: a setting that nobody knows is found before a start', async () => {
  const instance = await open('template');
  expect((await inspect(instance, ['--deep'])).findings.filter(({ code }) => code.startsWith('conf.'))).toEqual([]);
  await appendFile(join(instance.dataDir, 'postgresql.conf'), "\nshared_bufers = '1MB'\n");
  expect(
    (await inspect(instance)).findings.filter(({ code }) => code.startsWith('conf.')),
    'it parses',
  ).toEqual([]);
  const { findings, exit } = await inspect(instance, ['--deep']);
  expect(findings).toMatchObject([
    {
      code: 'conf.broken',
      path: 'postgresql.conf',
      evidence: expect.stringMatching(/unrecognized configuration parameter "shared_bufers"/),
    },
  ]);
  expect(exit).not.toBe(0);
});
