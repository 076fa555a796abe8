import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findTools } from '../../src/backups/dump/tools.ts';
import { layerConfig } from '../../src/config/layers.ts';
import { passfileLine } from '../../src/instance/passfile.ts';
import type { Tool } from '../../src/kernel/machine.ts';
import { testSystem } from '../backups/copy-engine.fixture.ts';

const signal = new AbortController().signal;
let bin: string;
beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), 'dbkit-test-'));
  for (const name of ['pg_dump', 'pg_restore']) {
    writeFileSync(join(bin, name), '');
    chmodSync(join(bin, name), 0o755);
  }
});
afterEach(() => rmSync(bin, { recursive: true, force: true }));

test('a passfile fits every server, whatever the password holds', () => {
  expect(passfileLine('a:b\\c d')).toBe('*:*:*:*:a\\:b\\\\c d\n');
});

/** What a tool was given, and what its passfile held while it ran. */
async function given(superuserPassword: string | undefined, role: { name: string; password: string } | undefined) {
  const seen: { env: Tool['env']; passfile: string | undefined }[] = [];
  const look = async ({ env }: Tool) => {
    const file = env?.['PGPASSFILE'];
    seen.push({ env, passfile: file === undefined ? undefined : readFileSync(file, 'utf8') });
    return { exitCode: 0, stdout: 'pg_dump (PostgreSQL) 15.1', stderr: '' };
  };
  const system = { ...(await testSystem()), childEnvironment: { PATH: bin }, runner: { run: look, attempt: look } };
  const { config } = layerConfig({
    file: { path: 'dbkit.yaml', value: { postgresql: { binDir: bin, ...(superuserPassword === undefined ? {} : { superuserPassword }) } } },
    environment: [],
    flags: [],
  });
  const tools = await findTools(15, { config, system, owner: undefined }, signal);
  await tools.run('pg_dump', [], signal, { database: 'app', role });
  return seen.at(-1)!;
}

test('tools of PostgreSQL find a password in a file of their own, and their environment holds none', async () => {
  const asSuperuser = await given('secret of its own', undefined);
  expect(asSuperuser.passfile).toBe('*:*:*:*:secret of its own\n');
  const asRole = await given('secret of its own', { name: 'loader', password: 'secret of another' });
  expect(asRole.passfile).toBe('*:*:*:*:secret of another\n');
  for (const { env } of [asSuperuser, asRole]) expect(JSON.stringify(env)).not.toMatch(/PGPASSWORD|secret/);
  expect(() => readFileSync(asRole.env!['PGPASSFILE']!)).toThrow(/ENOENT/);
  expect((await given(undefined, undefined)).passfile).toBeUndefined();
});
