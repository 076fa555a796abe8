import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { requireFiles, takesAnyServer } from '../../src/cli/needs-files.ts';
import { targetOf, targetOfEnvironment } from '../../src/instance/connection-only.ts';
import { parseUrl, passwordIn, serviceIn } from '../../src/instance/connection-string.ts';

test.each([
  [
    'postgresql://ann:se%20cret%2F@db.example:6432/shop',
    { host: 'db.example', port: 6432, user: 'ann', password: 'se cret/', database: 'shop' },
  ],
  ['postgres://db', { host: 'db', user: undefined, password: undefined, database: undefined, port: undefined }],
  ['postgresql://[::1]:5433/', { host: '::1', port: 5433 }],
  ['postgresql://%2Fvar%2Frun%2Fpostgresql/shop', { host: '/var/run/postgresql', database: 'shop' }],
  ['postgresql:///shop?host=/tmp&port=6000&user=bob', { host: '/tmp', port: 6000, user: 'bob', database: 'shop' }],
  [
    'postgresql://ann:a:b@db/x?sslmode=verify-full&sslrootcert=%2Fca.pem&pgbouncer=true',
    { password: 'a:b', sslMode: 'verify-full', sslRootCert: '/ca.pem' },
  ],
] as const)('%s', (url, words) => expect(parseUrl(url)).toMatchObject(words));

test.each([
  ['mysql://db/x'],
  ['postgresql://a,b/x'],
  ['postgresql://db:0/x'],
  ['postgresql://db:port/x'],
  ['postgresql://db/x?sslmode=maybe'],
  ['postgresql://db/x?sslcert=/c'],
  ['postgresql://db/%zz'],
  ['db.example'],
])('%s is refused, and not shown', (url) => {
  const secret = url.replace('//', '//ann:hunter2hunter2@');
  expect(() => parseUrl(secret)).toThrow(expect.objectContaining({ code: 'usage.invalid' }));
  expect(() => parseUrl(secret)).not.toThrow(/hunter2/);
});

test('a password file: the first line that fits, * and \\ as libpq reads them', () => {
  const text = '# mine\nother:5432:*:*:no\ndb:*:shop:ann:a\\:b\\\\c\nlocalhost:*:*:*:socket\n*:*:*:*:any\n';
  const asked = { host: 'db', port: 5432, database: 'shop', user: 'ann' };
  expect(passwordIn(text, asked)).toBe('a:b\\c');
  expect(passwordIn(text, { ...asked, user: 'bob' })).toBe('any');
  expect(passwordIn(text, { ...asked, host: '/tmp' })).toBe('socket');
  expect(passwordIn('db:5432:shop:ann', asked)).toBeUndefined();
});

test('a service file: one section', () => {
  const text = '[one]\nhost=a\n# no\n[two]\n host = b\nport=6000\ndbname=shop\nsslmode=require\n[three]\nuser=x\n';
  expect(serviceIn(text, 'two')).toMatchObject({ host: 'b', port: 6000, database: 'shop', sslMode: 'require', user: undefined });
  expect(serviceIn(text, 'four')).toBeUndefined();
});

const readAsCaller = (path: string): string => readFileSync(path, 'utf8');

test('what the URL does not say, the environment, the service and the password file do', async () => {
  const home = await mkdtemp(join(tmpdir(), 'dbkit-home-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  await writeFile(join(home, '.pgpass'), 'db:5432:shop:ann:from-file\n');
  await writeFile(join(home, '.pg_service.conf'), '[shop]\nhost=db\ndbname=shop\nuser=ann\n');
  const environment = { HOME: home, PGUSER: 'ann', PGSYSCONFDIR: home };
  const surroundings = { environment, readAsCaller };
  const target = await targetOf('postgresql://db/shop', '--url', surroundings);
  expect(target).toMatchObject({ host: 'db', port: 5432, user: 'ann', database: 'shop', sslMode: 'prefer', password: undefined });
  await chmod(join(home, '.pgpass'), 0o600); // One that others may read is none.
  expect((await targetOf('postgresql://db/shop', '--url', surroundings)).password?.reveal()).toBe('from-file');
  const named = await targetOfEnvironment({ environment: { ...environment, PGUSER: undefined, PGSERVICE: 'shop' }, readAsCaller });
  expect(named).toMatchObject({ host: 'db', user: 'ann', database: 'shop', from: 'PGSERVICE' });
  await expect(targetOfEnvironment({ environment: { ...environment, PGSERVICE: 'none' }, readAsCaller })).rejects.toMatchObject({
    code: 'usage.invalid',
  });
  expect(await targetOfEnvironment({ environment: { PGHOST: '/tmp' }, readAsCaller })).toBeUndefined();
  expect(await targetOfEnvironment({ environment: { DATABASE_URL: 'mysql://x/y' }, readAsCaller })).toBeUndefined();
  expect(await targetOfEnvironment({ environment: { DATABASE_URL: 'postgres://u:p@h/d', PGPASSWORD: 'q' }, readAsCaller })).toMatchObject({
    host: 'h',
    user: 'u',
    from: 'DATABASE_URL',
  });
});

test('what needs the files of a server is refused over a connection, and never takes a server of the environment', () => {
  for (const command of ['entrypoint', 'recover', 'recover history', 'wal fetch', 'monitor']) {
    expect(() => requireFiles(command, '--url')).toThrow(expect.objectContaining({ code: 'usage.invalid' }));
    expect(takesAnyServer(command)).toBe(false);
  }
  for (const command of ['health', 'snapshot save', 'backup create', 'sql', 'wait', 'status', '']) {
    expect(() => requireFiles(command, '--url')).not.toThrow();
    expect(takesAnyServer(command)).toBe(true);
  }
  expect(takesAnyServer('config show')).toBe(false);
});
