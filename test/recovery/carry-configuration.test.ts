import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Local } from '../../src/instance/local.ts';
import { volumeOf } from '../../src/instance/volume.ts';
import { createFiles } from '../../src/machine/files.ts';
import { carryConfiguration } from '../../src/recovery/carry-configuration.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {}, progress() {} };
let root: string;
let local: Local;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'dbkit-carry-'));
  for (const name of ['data', 'staged', 'state']) mkdirSync(join(root, name));
  const uid = process.getuid!();
  const owner = { uid, gid: process.getgid!(), name: 'me', home: root };
  const system = { files: createFiles(silent), log: silent, self: owner, rights: { isRoot: () => false } };
  const told: Pick<Local, 'volume' | 'stateDir' | 'owner'> = { volume: volumeOf(join(root, 'data')), stateDir: join(root, 'state'), owner };
  local = { ...told, system } as unknown as Local;
});
afterEach(() => rmSync(root, { recursive: true }));

const put = (where: 'data' | 'staged', files: Readonly<Record<string, string>>): void => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, where, name), text);
};
const staged = (name: string): string => readFileSync(join(root, 'staged', name), 'utf8');

test('sound configuration of today goes over, with what is not PostgreSQL’s, above what the restore needs', async () => {
  const restore = "\n# dbkit restore: begin\nrestore_command = 'false'\n# dbkit restore: end\n";
  put('staged', {
    'postgresql.conf': 'port = 1\n',
    'pg_hba.conf': 'local all all trust\n',
    'postgresql.auto.conf': `work_mem = '1MB'\n${restore}`,
  });
  put('data', {
    'postgresql.conf': 'port = 2\n',
    'pg_hba.conf': 'host all all 10.9.8.0/24 reject\nlocal all all trust\n',
    'postgresql.auto.conf': "work_mem = '77MB'\n",
    'server.key': 'secret',
    PG_VERSION: 'never carried',
  });
  expect(await carryConfiguration(local, join(root, 'staged'))).toEqual([]);
  expect(staged('postgresql.conf')).toBe('port = 2\n');
  expect(staged('pg_hba.conf')).toContain('10.9.8.0');
  expect(staged('postgresql.auto.conf')).toBe(`work_mem = '77MB'\n${restore}`);
  expect(staged('server.key')).toBe('secret');
  expect(() => staged('PG_VERSION')).toThrow(/ENOENT/);
});

test('what is broken today stays as the backup has it, and that is told', async () => {
  put('staged', { 'pg_hba.conf': 'local all all trust\n', 'postgresql.conf': 'port = 1\n' });
  put('data', { 'pg_hba.conf': '\0\0\0', 'postgresql.conf': '' });
  const losses = await carryConfiguration(local, join(root, 'staged'));
  expect(losses).toMatchObject([{ kind: 'settings', reverted: ['postgresql.conf', 'pg_hba.conf'] }]);
  expect(staged('pg_hba.conf')).toBe('local all all trust\n');
});
