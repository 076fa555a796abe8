import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { sslModes } from '../../src/config/config.ts';
import { isProof, provesServer, waysOf } from '../../src/instance/tls.ts';

const socketDir = 'db.example.org';

test.each([
  ['disable', [false]],
  ['allow', [false, { rejectUnauthorized: false }]],
  ['prefer', [{ rejectUnauthorized: false }, false]],
  ['require', [{ rejectUnauthorized: false }]],
  ['verify-full', [{ rejectUnauthorized: true }]],
] as const)('%s, without a root certificate', async (sslMode, ways) => {
  expect(await waysOf({ socketDir, sslMode })).toEqual(ways);
});

test('with a root certificate `require` verifies the authority, as libpq does', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-tls-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const sslRootCert = join(folder, 'root.crt');
  await writeFile(sslRootCert, 'PEM');
  const proven = { rejectUnauthorized: true, ca: 'PEM' };
  for (const sslMode of ['require', 'verify-ca'] as const)
    expect(await waysOf({ socketDir, sslMode, sslRootCert })).toEqual([{ ...proven, checkServerIdentity: expect.any(Function) }]);
  expect(await waysOf({ socketDir, sslMode: 'verify-full', sslRootCert })).toEqual([proven]);
});

test.each(['allow', 'require', 'verify-ca', 'verify-full'] as const)(
  'the authorities of the machine prove a name (%s)',
  async (sslMode) => {
    expect(await waysOf({ socketDir, sslMode, sslRootCert: 'system' })).toEqual([{ rejectUnauthorized: true }]);
  },
);

test('a socket has no TLS', async () => {
  expect(await waysOf({ socketDir: '/run/postgresql', sslMode: 'require' })).toEqual([false]);
});

test('whose the server is proves a name, or an authority that somebody chose, in the session and for the tools alike', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-tls-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'root.crt');
  await writeFile(file, 'PEM');
  const proving: string[] = [];
  for (const sslRootCert of [undefined, file, 'system'])
    for (const sslMode of sslModes) {
      const isProven = (await waysOf({ socketDir, sslMode, sslRootCert })).every(isProof);
      expect(provesServer({ sslMode, sslRootCert }), `${sslMode} ${sslRootCert}`).toBe(isProven);
      if (isProven) proving.push(`${sslMode} ${sslRootCert === file ? 'file' : sslRootCert}`);
    }
  expect(proving).toEqual([
    'verify-full undefined',
    'require file',
    'verify-ca file',
    'verify-full file',
    'allow system',
    'prefer system',
    'require system',
    'verify-ca system',
    'verify-full system',
  ]);
});
