import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'valibot';
import { expect, onTestFinished, test } from 'vitest';
import { configSchema } from '../../src/config/config.ts';
import type { Tool } from '../../src/kernel/machine.ts';
import { createRest } from '../../src/pgbackrest/program.ts';
import { testSystem } from '../backups/copy-engine.fixture.ts';

const signal = new AbortController().signal;

test('a repository that hangs is said to be away, and no signal', async () => {
  const root = mkdtempSync(join(tmpdir(), 'dbkit-test-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const program = join(root, 'pgbackrest');
  writeFileSync(
    program,
    '#!/bin/sh\n[ "$1" = version ] && echo pgBackRest 2.45 && exit\ntrap "exit 63" TERM\nwhile :; do sleep 0.1; done\n',
    {
      mode: 0o755,
    },
  );
  const config = parse(configSchema, { stateDir: join(root, 'state'), backupDir: join(root, 'backups'), pgbackrest: { program } });
  const system = await testSystem();
  const rest = createRest({ config, system, owner: system.self, reveal: async () => '' });
  const asked = rest.run('info', { timeoutMs: 300 }, signal);
  await expect(asked).rejects.toMatchObject({ code: 'store.unavailable', message: expect.stringContaining('did not end within') });
});

test('keys of the bucket, the passphrase and the superuser’s password are in files of one user, never in a command line or an environment', async () => {
  const root = mkdtempSync(join(tmpdir(), 'dbkit-test-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const program = join(root, 'pgbackrest');
  writeFileSync(program, '');
  chmodSync(program, 0o755);
  const config = parse(configSchema, {
    stateDir: join(root, 'state'),
    backupDir: join(root, 'backups'),
    postgresql: { superuserPassword: 'canary-password', dataDir: join(root, 'data'), socketDir: root },
    backup: { engine: 'pgbackrest' },
    pgbackrest: {
      program,
      cipherPass: { env: 'PASS' },
      repository: { type: 's3', bucket: 'b', accessKeyId: { env: 'ID' }, secretAccessKey: { env: 'KEY' }, sessionToken: { env: 'TOKEN' } },
    },
  });
  const seen: { tool: Tool; passfile: string | undefined }[] = [];
  const look = async (tool: Tool) => {
    const file = tool.env?.['PGPASSFILE'];
    seen.push({ tool, passfile: file === undefined ? undefined : readFileSync(file, 'utf8') });
    return { exitCode: 0, stdout: 'pgBackRest 2.45', stderr: '' };
  };
  const system = { ...(await testSystem()), childEnvironment: { PATH: root }, runner: { run: look, attempt: look } };
  const reveal = async (place: object) => `canary-${Object.values(place)[0]}`;
  const rest = createRest({ config, system, owner: system.self, reveal });
  for (const command of ['info', 'stanza-create', 'backup', 'restore']) await rest.run(command, { timeoutMs: 1000 }, signal);

  expect(seen.map(({ tool }) => JSON.stringify(tool)).join('\n')).not.toContain('canary');
  expect(seen.map(({ tool, passfile }) => [tool.args.at(-1), passfile])).toEqual([
    ['version', undefined],
    ['info', undefined],
    ['stanza-create', undefined],
    ['backup', '*:*:*:*:canary-password\n'],
    ['restore', undefined],
  ]);
  const conf = join(root, 'state/pgbackrest/pgbackrest.conf');
  expect(statSync(conf).mode & 0o777).toBe(0o600);
  expect(statSync(join(root, 'state/pgbackrest')).mode & 0o777).toBe(0o700);
  for (const name of ['ID', 'KEY', 'TOKEN', 'PASS']) expect(readFileSync(conf, 'utf8')).toContain(`canary-${name}\n`);
});
